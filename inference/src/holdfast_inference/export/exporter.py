# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""The whole way from a source folder to a model folder that appears in one step."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers

from ..engine.text import ModelTokenizer
from ..model_folder import GOLDEN, Card, describe_files, write_card
from . import Unknown
from .calibrate import DEFAULT_TEXTS, LONGEST, carried_scales, largest_values, scales_of
from .carry import Carrier
from .families import Geometry
from .gptq import Inputs
from .graph import Network as Parts
from .graph import build_graph
from .judge import Network, Sample, as_samples, judge, judge_vectors, read_golden
from .levels import Raised, find_raised
from .prune import Change
from .recipe import Recipe
from .source import Source, open_source
from .weight_file import WeightFile

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "special_tokens_map.json")
_OWN_TEXTS_MARGIN = 1.05
_DEFAULT_TEXTS_MARGIN = 1.25
_WORDS = {4: "int4", 8: "int8", 32: "f32"}


@dataclass(frozen=True)
class Order:
    """What is to be exported and where to."""

    source: Path
    target: Path
    name: str
    recipe: Recipe = field(default_factory=Recipe)
    context: int | None = None
    texts: tuple[str, ...] = ()
    """What the model will be asked, to calibrate KV with; without them texts of many kinds stand in."""
    judge_texts: tuple[str, ...] = ()
    """Texts that the export is judged by; best others than those."""
    golden: Path | None = None
    """Questions with their right answers (see golden.py). They go into the folder, so that a server can ask them."""
    judge_golden: bool = True
    """Ask them before and after, and tell in the card how many answers are right."""
    agreement: float | None = None
    """How often the likeliest token must be that of products that round nothing, on the golden set or the texts:
    products are raised until it is. None: all stay at the recipe's level."""
    tokenizer: Path | None = None
    """The folder of the tokenizer, where it is not the source's."""
    changes: tuple[Change, ...] = ()
    """What is done to the source before it is rounded, in this order; what was lost is told against it as it was."""


def export(order: Order) -> Card:
    """Writes the model folder and returns its card. A target that exists is not touched."""
    if order.target.exists():
        raise Unknown(f"{order.target} exists already and was not touched. Name another, or remove it first.")
    source = _source(order)
    if order.recipe.method == "gptq" and not order.texts:
        raise Unknown("GPTQ learns from texts that the model will be asked; name some (--texts).")
    order.target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = Path(tempfile.mkdtemp(prefix=f".{order.target.name}.", dir=order.target.parent))
    try:
        card = _write(order, source, unfinished)
        unfinished.chmod(0o755)
        unfinished.rename(order.target)
    except BaseException:
        shutil.rmtree(unfinished, ignore_errors=True)
        raise
    return card


def _source(order: Order) -> Source:
    source = open_source(order.source, tokenizer=order.tokenizer, context=order.context)
    for change in order.changes:
        source = change(source)
    return source


def _write(order: Order, source: Source, folder: Path) -> Card:
    recipe, geometry = order.recipe, source.geometry
    for name in TOKENIZER_FILES:
        if (source.tokenizer / name).is_file():
            shutil.copyfile(source.tokenizer / name, folder / name)
    tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    if tokenizer.get_vocab_size() > geometry.vocabulary:
        raise Unknown(
            f"The tokenizer knows {tokenizer.get_vocab_size()} tokens and the model only {geometry.vocabulary}: "
            "they do not belong together."
        )
    with WeightFile(folder) as file:
        with _inputs(order, folder, tokenizer) as inputs:
            carrier = Carrier(source.tensors, geometry, recipe, file, inputs)
            network = carrier.carry()
        carried = None
        if recipe.kv == "int8":
            file.flush()
            carried = None if order.texts else carried_scales(source.tensors, geometry)
            scales = carried or _kv_scales(order, geometry, network, folder, tokenizer)
            network = replace(network, kv_scales=carrier.add_kv_scales(scales))
        file.flush()
        raised = _raised(order, geometry, network, folder, tokenizer)
    graphs = {}
    for slots in recipe.slots:
        graphs[slots] = f"graph-{slots}.onnx"
        graph = build_graph(geometry, network, slots=slots, accuracy_level=recipe.accuracy_level, raised=raised.names)
        (folder / graphs[slots]).write_bytes(graph.SerializeToString(deterministic=True))
    if order.golden and geometry.embeds:
        raise Unknown("This model makes embeddings and answers nothing, so a golden set cannot judge it.")
    if order.golden:
        shutil.copyfile(order.golden, folder / GOLDEN)
    files = describe_files(folder, [path.name for path in folder.iterdir()])
    card = Card(
        name=order.name,
        family=geometry.family,
        layers=geometry.layers,
        hidden=geometry.hidden,
        intermediate=geometry.intermediate,
        heads=geometry.heads,
        kv_heads=geometry.kv_heads,
        head_size=geometry.head_size,
        vocabulary=geometry.vocabulary,
        context=geometry.context,
        parameters=carrier.count.parameters,
        weights=_WORDS[network.layers[0].gate_up.bits],
        block=network.layers[0].gate_up.block,
        kv=recipe.kv,
        accuracy_level=recipe.accuracy_level,
        eos_ids=geometry.eos_ids,
        graphs=graphs,
        files=files,
        report={**_report(order, carrier, files, raised, carried=carried is not None), **source.told},
        task="embedding" if geometry.embeds else "text",
    )
    golden = read_golden(order.golden, ModelTokenizer(folder), (*card.eos_ids, 0)[0]) if order.golden else []
    golden = golden if order.judge_golden else []
    if order.judge_texts or golden:
        card = replace(card, report={**card.report, **_judge(order, folder, card, golden)})
    return write_card(folder, card)


def _judge(order: Order, folder: Path, card: Card, golden: Sequence[Sample]) -> dict[str, Any]:
    """Exports once more in float32, beside, for as long as it takes to compare."""
    tokenizer = ModelTokenizer(folder)
    texts = as_samples(order.judge_texts, tokenizer) if order.judge_texts else []
    # Against the source as it was: what a change has cost is lost as well.
    with _in_float(replace(order, changes=()), folder.parent) as (plain, plain_card):
        before = Network(plain, plain_card)
        if card.task == "embedding":
            return judge_vectors(before, Network(folder, card), texts)
        return judge(before, Network(folder, card), Network(folder, card, accuracy_level=1), texts, golden)


@contextmanager
def _in_float(order: Order, beside: Path) -> Iterator[tuple[Path, Card]]:
    """The same model in float32, for as long as it is looked at."""
    with tempfile.TemporaryDirectory(prefix=".float.", dir=beside) as name:
        plain = replace(
            order, recipe=Recipe(weights="f32", kv="f32", slots=(1,)), judge_texts=(), golden=None, agreement=None
        )
        yield Path(name), _write(plain, _source(order), Path(name))


@contextmanager
def _inputs(order: Order, folder: Path, tokenizer: tokenizers.Tokenizer) -> Iterator[Inputs | None]:
    if order.recipe.method != "gptq" or order.recipe.bits() != 4:
        yield None
        return
    with _in_float(order, folder.parent) as (plain, card):
        yield Inputs(plain, card, [tokenizer.encode(text).ids[:LONGEST] for text in order.texts])


def _raised(order: Order, geometry: Geometry, network: Parts, folder: Path, tokenizer: tokenizers.Tokenizer) -> Raised:
    if order.agreement is None or order.recipe.bits() == 32:
        return Raised()
    texts: list[Sequence[int]] = [tokenizer.encode(text).ids for text in order.texts]
    if order.golden:
        samples = read_golden(order.golden, ModelTokenizer(folder), (*geometry.eos_ids, 0)[0])
        texts = [sample.ids for sample in samples]
    if not texts or geometry.embeds:
        raise Unknown("Agreement is told on a golden set or on texts that the model will be asked; name some.")
    graph = build_graph(geometry, network, slots=1, accuracy_level=order.recipe.accuracy_level)
    return find_raised(graph, folder, geometry, order.recipe.kv, texts, order.agreement)


def _kv_scales(
    order: Order, geometry: Geometry, network: Parts, folder: Path, tokenizer: tokenizers.Tokenizer
) -> list[tuple[Any, Any]]:
    graph = build_graph(geometry, network, slots=1, accuracy_level=order.recipe.accuracy_level)
    ids: Sequence[Sequence[int]] = [tokenizer.encode(text).ids for text in order.texts or DEFAULT_TEXTS]
    ids = [text for text in ids if text] or [_some_ids(geometry)]
    margin = _OWN_TEXTS_MARGIN if order.texts else _DEFAULT_TEXTS_MARGIN
    return scales_of(largest_values(graph, folder, geometry, ids), margin)


def _some_ids(geometry: Geometry) -> list[int]:
    """For a tokenizer that none of the texts can be said with."""
    drawn = np.random.default_rng(0).integers(0, geometry.vocabulary, 256)
    return [int(item) for item in drawn]


def _report(
    order: Order, carrier: Carrier, files: dict[str, dict[str, Any]], raised: Raised, *, carried: bool
) -> dict[str, Any]:
    texts = f"{len(order.texts)} texts of its own" if order.texts else "texts of many kinds"
    levels = {"before": round(raised.before, 4), "after": round(raised.after, 4), "products": list(raised.names)}
    told = {} if order.agreement is None else {"raised": levels}
    return told | {
        "method": order.recipe.method,
        "mixed": order.recipe.mixed,
        "bits_per_weight": round(carrier.count.bits_each(), 3),
        "bytes": sum(int(item["bytes"]) for item in files.values()),
        "kv_calibrated_with": "scales of the source" if carried else texts,
        "tensors_kept_as_they_were": carrier.kept,
    }
