# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""What an export lost: the same texts and questions asked of the network before and after, in float32 and as it
will be served.

Texts tell perplexity, and how often both networks would say the same next token. A golden set tells how many
questions are answered as they should be, word for word: with the answer given, each of its tokens must be the
likeliest one, which is the same as drawing it greedily.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from .. import golden
from ..engine.text import ModelTokenizer
from ..model_folder import Card
from ..words import Refused
from . import Unknown
from .whole import WholeTexts

LONGEST = 256
"""Tokens of a text that are looked at; the logits of all of them are held at once."""


@dataclass(frozen=True)
class Sample:
    """Tokens, and from which on they are the answer that is wanted."""

    ids: tuple[int, ...]
    answer: int


def read_golden(path: Path, tokenizer: ModelTokenizer, eos: int) -> list[Sample]:
    """The answer has to end where it ends."""
    try:
        asked = [(question.ids(tokenizer), question.answer) for question in golden.read_golden(path)]
    except (golden.BadGolden, Refused) as error:
        raise Unknown(str(error)) from None
    return [Sample((*ids, *tokenizer.encode(answer, special=False), eos), len(ids)) for ids, answer in asked]


def as_samples(texts: Sequence[str], tokenizer: ModelTokenizer) -> list[Sample]:
    encoded = [tuple(tokenizer.encode(text))[:LONGEST] for text in texts]
    samples = [Sample(ids, 1) for ids in encoded if len(ids) > 1]
    if not samples:
        raise Unknown("The texts to judge with hold nothing to predict.")
    return samples


class Network:
    """One prompt at a time through the graph with one slot."""

    def __init__(self, folder: Path, card: Card, *, accuracy_level: int | None = None) -> None:
        if 1 not in card.graphs:
            raise Unknown("Judging needs the graph with one slot; export it too (--slots 1 …).")
        graph = onnx.load(str(folder / card.graphs[1]), load_external_data=False)
        for attribute in (item for node in graph.graph.node for item in node.attribute):
            if attribute.name == "accuracy_level" and accuracy_level is not None:
                attribute.i = accuracy_level
        self._network = WholeTexts(
            graph, folder, layers=card.layers, kv_heads=card.kv_heads, head_size=card.head_size, kv=card.kv
        )

    def logits(self, ids: Sequence[int]) -> NDArray[np.float32]:
        found: NDArray[np.float32] = self._network.run(["logits"], ids, wanted="all")[0][0]
        return found


@dataclass
class Tally:
    """What one network said of all samples."""

    tokens: int = 0
    surprise: float = 0.0
    right: int = 0
    samples: int = 0

    def perplexity(self) -> float:
        return float(np.exp(self.surprise / self.tokens))

    def add(self, sample: Sample, logits: NDArray[np.float32]) -> NDArray[np.int64]:
        """Counts one sample; returns the likeliest token at each place of the answer."""
        rows = logits[sample.answer - 1 : len(sample.ids) - 1].astype(np.float64)
        wanted = np.array(sample.ids[sample.answer :])
        rows -= rows.max(axis=1, keepdims=True)
        chosen = rows[np.arange(len(wanted)), wanted] - np.log(np.exp(rows).sum(axis=1))
        likeliest: NDArray[np.int64] = rows.argmax(axis=1)
        self.tokens += len(wanted)
        self.surprise -= float(chosen.sum())
        self.right += bool((likeliest == wanted).all())
        self.samples += 1
        return likeliest


def compare(before: Network, after: Network, samples: Sequence[Sample]) -> tuple[Tally, Tally, float]:
    """Both tallies, and the share of tokens at which both find the same one likeliest."""
    tallies = Tally(), Tally()
    same = 0
    for first, second in _both(before, after, samples, tallies):
        same += int((first == second).sum())
    return (*tallies, same / tallies[0].tokens)


def _both(
    before: Network, after: Network, samples: Sequence[Sample], tallies: tuple[Tally, Tally]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    for sample in samples:
        yield (
            tallies[0].add(sample, before.logits(sample.ids)),
            tallies[1].add(sample, after.logits(sample.ids)),
        )


def judge_vectors(before: Network, after: Network, texts: Sequence[Sample]) -> dict[str, Any]:
    """What a model that embeds has lost: the cosine between a text's vectors before and after."""
    cosines = []
    for sample in texts:
        first, second = (network.logits(sample.ids)[-1].astype(np.float64) for network in (before, after))
        cosines.append(float(first @ second / np.sqrt((first @ first) * (second @ second))))
    return {"cosine": {"mean": round(float(np.mean(cosines)), 5), "least": round(min(cosines), 5)}}


def judge(
    before: Network, after: Network, exact: Network, texts: Sequence[Sample], golden: Sequence[Sample]
) -> dict[str, Any]:
    """The part of the report that says what was lost. `exact` is `after` without rounded activations."""
    report: dict[str, Any] = {}
    if texts:
        first, second, same = compare(before, after, texts)
        report["perplexity"] = {"before": round(first.perplexity(), 4), "after": round(second.perplexity(), 4)}
        report["argmax_agreement"] = round(same, 4)
        report["argmax_agreement_of_rounded_activations"] = round(compare(exact, after, texts)[2], 4)
        report["judged_tokens"] = first.tokens
    if golden:
        first, second, _ = compare(before, after, golden)
        report["golden"] = {"samples": first.samples, "right_before": first.right, "right_after": second.right}
    return report
