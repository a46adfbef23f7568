# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A model folder as the controller must know it: what belongs to it, its digest, and the memory that it will take.

The engine says the same in inference/ (model_folder.py, engine/plan.py), which is not installed with the collection; a
test compares both.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from ._bundle.files import sha256_of

CARD = "model.json"
WEIGHTS = "weights.bin"
FORMAT = 1
MIB = 1024 * 1024
RUNTIME = 96 * MIB
ARRANGED_PERCENT = 115
ARENA = 2
TABLE = 1500
PREFIX_CACHE = 64 * MIB
CHUNK = 128
SPARE_POSITIONS = 32


class ModelFolderError(Exception):
    """The folder cannot be served; the text says what is wrong with it."""


def read_model(folder: Path, slots: int, context: int = 0) -> dict[str, Any]:
    """Digest, files and memory of a model whose every byte was compared with its card."""
    try:
        card = json.loads((folder / CARD).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelFolderError(f"{folder} is no model folder: {CARD} cannot be read ({error}).") from error
    if not isinstance(card, dict) or card.get("format") != FORMAT:
        raise ModelFolderError(f"{folder}/{CARD} is not of format {FORMAT}. Export the model again.")
    without = {key: value for key, value in card.items() if key != "digest"}
    text = json.dumps(without, sort_keys=True, separators=(",", ":"))
    if card.get("digest") != hashlib.sha256(text.encode()).hexdigest():
        raise ModelFolderError(f"{folder}/{CARD} was changed after it was written: its digest does not match.")
    for name, wanted in card["files"].items():
        path = folder / name
        if Path(name).name != name or not path.is_file():
            raise ModelFolderError(f"{folder}: {name} is missing.")
        if sha256_of(path) != wanted["sha256"]:
            raise ModelFolderError(f"{path} does not have the SHA-256 that {CARD} names: it was changed or damaged.")
    if str(slots) not in card["graphs"]:
        known = ", ".join(sorted(card["graphs"], key=int))
        raise ModelFolderError(f"{folder} was exported for {known} slots, not for {slots}. Choose one of these.")
    # The card is the last of them: a folder without it is known to be unfinished.
    files = [
        {"name": name, "sha256": wanted["sha256"], "bytes": int(wanted["bytes"])}
        for name, wanted in sorted(card["files"].items())
    ]
    own = folder / CARD
    return {
        "digest": card["digest"],
        "files": [*files, {"name": CARD, "sha256": sha256_of(own), "bytes": own.stat().st_size}],
        "memory_bytes": memory_bytes(card, slots, context),
    }


def memory_bytes(card: dict[str, Any], slots: int, context: int = 0) -> int:
    """What the engine's plan for it is: weights, KV, prefix cache, and what it works with."""
    tokens = min(context or card["context"], card["context"])
    kv_bytes = 2 * card["layers"] * card["kv_heads"] * card["head_size"] * (1 if card["kv"] == "int8" else 4)
    widths = 4 * card["hidden"] + 3 * card["intermediate"] + 4 * card["heads"] * card["head_size"]
    scores = card["heads"] * (tokens + SPARE_POSITIONS)
    activations = ARENA * (CHUNK + SPARE_POSITIONS) * 4 * (widths + scores)
    answers = card.get("task", "text") == "text"
    logits = 2 * 4 * card["vocabulary" if answers else "hidden"] * (slots * 5 + 8)
    table = TABLE * card["vocabulary"] if answers else 0
    weights = int(card["files"][WEIGHTS]["bytes"]) * ARRANGED_PERCENT // 100
    kv = slots * (tokens + SPARE_POSITIONS) * kv_bytes
    return int(weights + kv + PREFIX_CACHE + RUNTIME + activations + logits + table)
