# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The promise that all else rests on: an answer does not depend on its company, on how its prompt was cut, on
guesses, on the prefix cache, or on whether it was continued in its middle. Logits are compared bit for bit, on
whole models."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from holdfast_inference.engine.exactness import find_quantum
from holdfast_inference.engine.local import LocalEngine
from holdfast_inference.engine.plan import make_plan
from holdfast_inference.engine.runner import Logits, Rows, Runner
from holdfast_inference.engine.scheduler import Limits
from holdfast_inference.model_folder import read_card
from holdfast_inference.words import Grammar, Request, Sampling

from tests.inference.engine import asking

SHAPES = {
    "llama, block 32": {"block": 32, "family": "llama"},
    "llama, block 64": {"block": 64, "family": "llama"},
    "llama, block 128": {"block": 128, "family": "llama"},
    "qwen3, block 64": {"block": 64, "family": "qwen3"},
    "wide qwen2, block 64": {"block": 64, "family": "qwen2", "hidden_size": 448, "intermediate_size": 704},
    "mistral with a window": {"block": 64, "family": "mistral", "sliding_window": 24},
}


def open_runner(folder: Path, slots: int = 4) -> Runner:
    card = read_card(folder)
    plan = make_plan(card, granted=2**33, slots=slots, context=None, prefix=0, chunk=128)
    return Runner(folder, card, plan, threads=1)


@pytest.mark.parametrize("name", SHAPES)
def test_logits_are_bit_equal_at_every_shape(name: str, tmp_path: Path) -> None:
    shape: dict[str, Any] = SHAPES[name]
    runner = open_runner(asking.make_model(tmp_path, **shape))
    assert find_quantum(runner) is not None
    ids = list(asking.prompt(72))
    alone = np.stack([runner.step([Rows(0, [token], 1)])[0][0].copy() for token in ids])
    assert alone.std() > 0.3
    compared = 0

    def same(slot: int, logits: Logits) -> None:
        nonlocal compared
        end = runner.lengths[slot]
        assert np.array_equal(logits, alone[end - len(logits) : end])
        compared += len(logits)

    # One prompt cut unevenly, in each slot, while the others are empty.
    for slot in range(4):
        runner.keep(slot, 0)
        for cut in (31, 1, 2, 17, 3, 1, 5):
            begin = runner.lengths[slot]
            same(slot, runner.step([Rows(slot, ids[begin : begin + cut], min(cut, 5))])[0])
    # All slots at once: one reads a chunk, one answers, one verifies guesses, one is empty; in turns.
    for slot in range(4):
        runner.keep(slot, 5 + 9 * slot)
    for turn in range(6):
        rows = []
        for slot in range(4):
            width = (11, 1, 3, 0)[(slot + turn) % 4]
            begin = runner.lengths[slot]
            chunk = ids[begin : begin + width]
            if chunk:
                rows.append(Rows(slot, chunk, min(len(chunk), 3)))
        for item, logits in zip(rows, runner.step(rows), strict=True):
            same(item.slot, logits)
    # Wrong guesses, taken back.
    for guess in ([7, 7], [1, 2, 3, 4]):
        runner.keep(2, 30)
        first = runner.step([Rows(2, [ids[30], *guess], 1 + len(guess))])[0][:1].copy()
        runner.keep(2, 31)
        same(2, first)
        same(2, runner.step([Rows(2, ids[31:33], 2)])[0])
    # What was saved and put back, in another slot.
    saved = runner.save(2, 0, 32)
    runner.keep(1, 0)
    runner.restore(1, 0, saved)
    same(1, runner.step([Rows(1, ids[32:36], 4)])[0])
    assert compared > 60


def test_logits_are_bit_equal_far_from_the_beginning(tmp_path: Path) -> None:
    folder = asking.make_model(tmp_path, max_position_embeddings=2048, num_hidden_layers=2)
    runner = open_runner(folder, slots=2)
    assert find_quantum(runner) is not None
    ids = list(asking.prompt(1900))
    ways: list[dict[int, Logits]] = []
    for cuts in ([128], [37, 91, 128, 1, 3]):
        runner.keep(0, 0)
        ways.append({})
        turn = 0
        while runner.lengths[0] < len(ids):
            chunk = ids[runner.lengths[0] :][: cuts[turn % len(cuts)]]
            logits = runner.step([Rows(0, chunk, 1)])[0][0].copy()
            ways[-1][runner.lengths[0]] = logits
            turn += 1
    assert 1900 in ways[0] and 1900 in ways[1]
    assert np.array_equal(ways[0][1900], ways[1][1900])
    for place in (1890, 1400, 700):
        runner.keep(0, place)
        alone = [runner.step([Rows(0, [token], 1)])[0][0].copy() for token in ids[place : place + 10]]
        runner.keep(0, place)
        runner.step([Rows(0, ids[place : place + 6]), Rows(1, ids[:3])])
        together = runner.step([Rows(0, ids[place + 6 : place + 10], 4)])
        assert np.array_equal(np.stack(alone[6:]), together[0])
        assert place != 1890 or np.array_equal(alone[-1], ways[0][1900])
        runner.keep(1, 0)


class Shaky(Runner):
    """A machine on which a row's logits depend on how many rows there are."""

    begins_at = 0

    def step(self, rows: Any) -> list[Logits]:
        total = sum(len(item.tokens) for item in rows)
        far = self.lengths[0] >= self.begins_at
        return [logits + np.float32(far * total * 1e-4) for logits in super().step(rows)]


@pytest.mark.parametrize("begins_at", [0, 400])
def test_a_machine_that_is_not_exact_is_found_out(begins_at: int, tmp_path: Path) -> None:
    folder = asking.make_model(tmp_path, block=32)
    card = read_card(folder)
    runner = Shaky(folder, card, make_plan(card, granted=2**33, slots=2, context=None, prefix=0, chunk=128), threads=1)
    runner.begins_at = begins_at
    assert find_quantum(runner) is None
    assert (runner.quantum, runner.lengths) == (1, [0, 0])


WAYS: dict[str, dict[str, Any]] = {
    "greedy": {"sampling": Sampling(temperature=0.0)},
    "seeded": {"sampling": Sampling(temperature=0.9, seed=11)},
    "hot, narrowed": {"sampling": Sampling(temperature=1.3, top_p=0.9, top_k=50, min_p=0.01, seed=12)},
    "penalised": {
        "sampling": Sampling(
            temperature=0.7, seed=13, presence_penalty=0.6, frequency_penalty=0.4, repetition_penalty=1.2
        )
    },
    "logprobs and a bias": {
        "sampling": Sampling(temperature=0.5, seed=14, logit_bias={40: 3.0, 41: -3.0}),
        "logprobs": 3,
    },
    "a schema": {
        "sampling": Sampling(temperature=0.8, seed=15),
        "grammar": Grammar(
            "json_schema",
            '{"type":"object","properties":{"aisle":{"type":"integer"},"open":{"type":"boolean"}},'
            '"required":["aisle","open"],"additionalProperties":false}',
        ),
        "max_tokens": 60,
    },
    "stop word": {"sampling": Sampling(temperature=0.9, seed=16), "stop": ("a", "es")},
    "at least ten": {
        "sampling": Sampling(temperature=0.9, seed=17),
        "min_tokens": 10,
        "stop_ids": tuple(range(20, 60)),
    },
}


@pytest.fixture(scope="module", params=[32, 64])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return asking.make_model(tmp_path_factory.mktemp("model"), block=request.param)


@pytest.fixture
def engine(folder: Path) -> Iterator[LocalEngine]:
    engine = asking.make_engine(folder)
    yield engine
    engine.close()


def wanted(way: str, length: int = 70) -> Request:
    return asking.request(asking.prompt(length), **WAYS[way])


@pytest.fixture(scope="module")
def undisturbed(folder: Path) -> dict[str, asking.Whole]:
    """Each answer from an engine with one slot, without prefix cache, guesses or company."""
    engine = asking.make_engine(folder, slots=1, prefix_bytes=0, limits=Limits(guess_up_to=0))
    answers = {way: asking.ask(engine, wanted(way)) for way in WAYS}
    engine.close()
    assert len({answer.ids for answer in answers.values()}) == len(WAYS)
    return answers


def same(got: asking.Whole, expected: asking.Whole) -> None:
    assert got.tokens == expected.tokens
    assert (got.finish.reason, got.finish.text, got.finish.stop) == (
        expected.finish.reason,
        expected.finish.text,
        expected.finish.stop,
    )
    assert got.finish.usage.completion == expected.finish.usage.completion


def test_answers_do_not_depend_on_company(engine: LocalEngine, undisturbed: dict[str, asking.Whole]) -> None:
    """All ways at once, twice, with others of uneven lengths between them, over four slots."""
    others = [asking.request(asking.prompt(9 + 13 * number, seed=number), max_tokens=17) for number in range(6)]
    asked = [(way, engine.submit(wanted(way))) for way in WAYS for _ in range(2)]
    noise = [engine.submit(other) for other in others]
    for way, answer in asked:
        same(asking.read(answer), undisturbed[way])
    assert all(asking.read(answer).finish.reason == "length" for answer in noise)
    assert engine.status().models["tiny"].prefix_hits > 0


@pytest.mark.parametrize("chunk", [32, 40, 128])
def test_answers_do_not_depend_on_chunks(chunk: int, folder: Path, undisturbed: dict[str, asking.Whole]) -> None:
    engine = asking.make_engine(folder, chunk=chunk, slots=2)
    for way in WAYS:
        same(asking.ask(engine, wanted(way)), undisturbed[way])
    engine.close()


@pytest.mark.parametrize("way", WAYS)
def test_an_answer_continues_from_any_token(way: str, folder: Path, undisturbed: dict[str, asking.Whole]) -> None:
    """As if another node had died after each of its tokens: what follows is what would have followed, text included."""
    expected = undisturbed[way]
    engine = asking.make_engine(folder)
    for cut in range(1, len(expected.tokens) + 1):
        resumed = asking.ask(engine, replace(wanted(way), forced_output_ids=expected.ids[:cut]))
        assert resumed.tokens == expected.tokens[cut:]
        assert replace(resumed.finish, usage=expected.finish.usage) == expected.finish
        assert resumed.finish.usage.completion == expected.finish.usage.completion
    engine.close()


def test_guesses_change_nothing_but_the_time(folder: Path) -> None:
    """On a text that repeats, guesses come true, and the answer is the one without them."""
    beginning = asking.prompt(24) * 4
    ways = {
        "greedy": {"sampling": Sampling(temperature=0.0), "max_tokens": 120},
        "seeded": {"sampling": Sampling(temperature=0.3, seed=5), "max_tokens": 60},
        "biased": {
            "sampling": Sampling(temperature=0.0, logit_bias=dict.fromkeys(beginning[5:9], 9.0)),
            "max_tokens": 60,
        },
    }
    slow = asking.make_engine(folder, slots=1, prefix_bytes=0, limits=Limits(guess_up_to=0))
    fast = asking.make_engine(folder, slots=1, prefix_bytes=0, limits=Limits(guess_up_to=4))
    for changes in ways.values():
        asked = asking.request(beginning, ignore_eos=True, **changes)
        same(asking.ask(fast, asked), asking.ask(slow, asked))
    with_guesses, without = fast.status().models["tiny"], slow.status().models["tiny"]
    assert with_guesses.accepted > 0
    assert with_guesses.steps < without.steps or without.accepted > 0
    slow.close()
    fast.close()
