# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""Golden runs: how many questions with known answers the model still gets right, and how long it takes for them."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from holdfast_inference import words
from holdfast_inference.golden import Question


@dataclass(frozen=True)
class Reply:
    """What the model said to a question, and after how long."""

    text: str
    seconds: float


@dataclass(frozen=True)
class GoldenRun:
    """What a run over a golden set found."""

    model: str
    digest: str
    asked: int
    right: int
    seconds: float
    answer_seconds: tuple[float, float]
    """The median of the answers' times, and the 99th of a hundred."""
    at: float = field(default_factory=time.time)

    @property
    def accuracy(self) -> float:
        """The share of right answers."""
        return self.right / self.asked

    def told(self) -> dict[str, Any]:
        """As JSON tells it."""
        return {
            "model": self.model,
            "digest": self.digest,
            "asked": self.asked,
            "right": self.right,
            "accuracy": self.accuracy,
            "answer_seconds": dict(zip(("p50", "p99"), self.answer_seconds, strict=True)),
            "at": self.at,
        }


def is_right(question: Question, answer: str) -> bool:
    """Space around an answer does not matter, everything else does."""
    return question.answer.strip() == answer.strip()


def percentile(values: Sequence[float], share: float) -> float:
    """The least value that so many are not above."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def sum_up(
    facts: words.ModelFacts, questions: Sequence[Question], replies: Sequence[Reply], seconds: float
) -> GoldenRun:
    """What a run found."""
    right = sum(is_right(question, reply.text) for question, reply in zip(questions, replies, strict=True))
    times = [reply.seconds for reply in replies]
    shares = percentile(times, 0.5), percentile(times, 0.99)
    return GoldenRun(facts.name, facts.digest, len(questions), right, seconds, shares)
