# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""The model folder: what the export writes and the engine reads.

    model.json                 the card: geometry, recipe, files with their SHA-256, and the digest over all of it
    weights.bin                every tensor, mapped by the graphs
    graph-<slots>.onnx         the same network for so many requests at a time; a few hundred KiB each
    tokenizer.json, …          as they came
    golden.jsonl               questions with their right answers, where the export was given some

The digest names the model: two nodes continue each other's answers only when theirs are equal.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

CARD = "model.json"
WEIGHTS = "weights.bin"
GOLDEN = "golden.jsonl"
FORMAT = 1
SPARE_POSITIONS = 32
"""KV positions and rotary angles beyond the context, for guesses and padding past the last token."""


class BadModelFolder(Exception):  # noqa: N818 - it names what is bad, and reads so where it is caught
    """The folder is not a whole model of a format that is known here; the message says which part is wrong."""


@dataclass(frozen=True)
class Card:
    """What model.json says."""

    name: str
    family: str
    layers: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    head_size: int
    vocabulary: int
    context: int
    parameters: int
    weights: str
    """How the bulk of the weights is kept: `int4`, `int8` or `f32`."""
    block: int
    kv: str
    """`int8` or `f32`: [1, kv_heads, positions, head_size] for keys and as much for values, a layer and a slot."""
    accuracy_level: int
    eos_ids: tuple[int, ...]
    graphs: Mapping[int, str]
    """The graph file for each number of slots."""
    files: Mapping[str, Mapping[str, Any]]
    report: Mapping[str, Any]
    format: int = FORMAT
    digest: str = ""
    task: str = "text"
    """`text`: it draws answers. `embedding`: what its graphs call logits is the state of the last layer, normed."""

    def output_size(self) -> int:
        """Numbers that the graphs give for a row."""
        return self.hidden if self.task == "embedding" else self.vocabulary

    def kv_bytes_per_token(self) -> int:
        return 2 * self.layers * self.kv_heads * self.head_size * (1 if self.kv == "int8" else 4)

    def weight_bytes(self) -> int:
        return int(self.files[WEIGHTS]["bytes"])


def _digest(content: Mapping[str, Any]) -> str:
    without = {key: value for key, value in content.items() if key != "digest"}
    return hashlib.sha256(json.dumps(without, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def file_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def describe_files(folder: Path, names: Iterable[str]) -> dict[str, dict[str, Any]]:
    return {
        name: {"bytes": (folder / name).stat().st_size, "sha256": file_digest(folder / name)} for name in sorted(names)
    }


def write_card(folder: Path, card: Card) -> Card:
    """Writes model.json last, so that a folder without it is known to be unfinished, and returns it with its digest."""
    content = asdict(card)
    content["graphs"] = {str(slots): name for slots, name in sorted(card.graphs.items())}
    content = json.loads(json.dumps(content))
    if card.task == "text":
        # As it was before there was another: the digest of a model stays what it was.
        del content["task"]
    content["digest"] = _digest(content)
    unfinished = folder / (CARD + ".part")
    unfinished.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    unfinished.rename(folder / CARD)
    return _card_of(content)


def _card_of(content: Mapping[str, Any]) -> Card:
    known = {item.name for item in fields(Card)}
    values = {key: value for key, value in content.items() if key in known}
    values["graphs"] = {int(slots): name for slots, name in values["graphs"].items()}
    values["eos_ids"] = tuple(values["eos_ids"])
    return Card(**values)


def read_card(folder: Path, *, verify: bool = True) -> Card:
    """The card of a folder whose every byte was compared with it (`verify`), or only its own digest and the sizes."""
    try:
        content = json.loads((folder / CARD).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BadModelFolder(
            f"{folder}: there is no {CARD}, so this is no model folder, or an unfinished one."
        ) from None
    except (OSError, ValueError) as error:
        raise BadModelFolder(f"{folder}/{CARD} cannot be read: {error}") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        found = content.get("format") if isinstance(content, dict) else None
        raise BadModelFolder(
            f"{folder}/{CARD} is of format {found!r}; this program reads format {FORMAT}. Export again."
        )
    if content.get("digest") != _digest(content):
        raise BadModelFolder(
            f"{folder}/{CARD} was changed after it was written: its digest does not match its content."
        )
    card = _card_of(content)
    for name, wanted in card.files.items():
        path = folder / name
        if Path(name).name != name or not path.is_file():
            raise BadModelFolder(f"{folder}: {name} is missing.")
        size = path.stat().st_size
        if size != wanted["bytes"]:
            raise BadModelFolder(f"{path} has {size} bytes where {wanted['bytes']} belong: it was cut or exchanged.")
        if verify and file_digest(path) != wanted["sha256"]:
            raise BadModelFolder(f"{path} does not have the SHA-256 that {CARD} names: it was changed or damaged.")
    return card
