# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How tests ask a real engine with a tiny model, and what they keep of an answer."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from holdfast_inference.engine.local import LocalEngine, Settings
from holdfast_inference.engine.plan import MIB
from holdfast_inference.export.exporter import Order, export
from holdfast_inference.export.recipe import Recipe
from holdfast_inference.words import Answer, Event, Finish, Refused, Request, Sampling, Token

from tests.inference import tiny_model

_NUMBERS = itertools.count()


@dataclass(frozen=True)
class Whole:
    """An answer that was read to its end."""

    tokens: tuple[Token, ...]
    finish: Finish

    @property
    def ids(self) -> tuple[int, ...]:
        return tuple(token.id for token in self.tokens)

    @property
    def text(self) -> str:
        return "".join(token.text for token in self.tokens) + self.finish.text


def make_model(folder: Path, *, block: int = 64, family: str = "llama", seed: int = 0, **changes: Any) -> Path:
    """A model folder; its answers to `prompt()` neither repeat one token nor end at once."""
    tiny_model.write_source(folder / f"source-{seed}", family, seed=seed, **changes)
    target = folder / f"model-{block}-{seed}"
    export(Order(folder / f"source-{seed}", target, "tiny", Recipe(block=block, method="rtn", slots=(1, 2, 4))))
    return target


def make_embedding_model(folder: Path, recipe: Recipe | None = None) -> Path:
    """A model folder of a model that makes vectors of texts."""
    tiny_model.write_embedding_source(folder / "source-embedding")
    wanted = recipe or Recipe(method="rtn", slots=(1, 2, 4))
    export(Order(folder / "source-embedding", folder / "embedding", "tiny", wanted))
    return folder / "embedding"


def make_engine(folder: Path, **changes: Any) -> LocalEngine:
    engine = LocalEngine()
    settings: dict[str, Any] = {"slots": 4, "threads": 1, "prefix_bytes": 4 * MIB, "chunk": 48}
    engine.activate("tiny", folder, Settings(**(settings | changes)))
    return engine


def prompt(length: int, seed: int = 0) -> tuple[int, ...]:
    drawn = np.random.default_rng(1000 + seed).integers(4, 380, length)
    return (0, *(int(item) for item in drawn))[:length]


def request(ids: Sequence[int], **changes: Any) -> Request:
    values: dict[str, Any] = {
        "id": f"request-{next(_NUMBERS)}",
        "model": "tiny",
        "prompt_ids": tuple(ids),
        "max_tokens": 24,
        "sampling": Sampling(temperature=0.0),
    }
    return Request(**(values | changes))


def read(answer: Answer | Iterable[Event]) -> Whole:
    events = list(answer)
    finish = events[-1]
    assert isinstance(finish, Finish)
    tokens = tuple(event for event in events[:-1] if isinstance(event, Token))
    assert len(tokens) == len(events) - 1
    return Whole(tokens, finish)


def ask(engine: LocalEngine, wanted: Request) -> Whole:
    return read(engine.submit(wanted))


def refused(action: Callable[[], object]) -> Refused:
    with pytest.raises(Refused) as refusal:
        action()
    return refusal.value
