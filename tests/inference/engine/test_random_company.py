# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests of all kinds at random times, some cancelled, some resumed, with a prefix cache that is far too
small: every answer that was not cut short is the one that the same request has alone, and one that was cut is
the beginning of it."""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from holdfast_inference.engine.local import LocalEngine
from holdfast_inference.engine.scheduler import Limits
from holdfast_inference.words import Finish, Grammar, Request, Sampling, Token

from tests.inference.engine import asking

COUNT = 40


def some_request(chosen: random.Random) -> Request:
    """Beginnings come from a few, so that prefixes are shared; some repeat, so that guesses come true."""
    beginning = asking.prompt(chosen.choice([0, 33, 64, 150]), seed=chosen.randrange(2))
    rest = asking.prompt(chosen.randrange(1, 90), seed=chosen.randrange(1000))
    grammar = Grammar("regex", "([a-f]{2,5}-[0-9]{2}\n){3}") if chosen.random() < 0.25 else None
    sampling = Sampling(
        temperature=chosen.choice([0.0, 0.4, 1.0]),
        top_p=chosen.choice([1.0, 0.8]),
        seed=chosen.randrange(100),
        frequency_penalty=chosen.choice([0.0, 0.0, 0.5]),
        repetition_penalty=chosen.choice([1.0, 1.1]),
    )
    return asking.request(
        (*beginning, *(rest * chosen.choice([1, 1, 3]))[:300]),
        max_tokens=chosen.randrange(1, 50),
        min_tokens=chosen.choice([0, 0, 12]),
        stop=chosen.choice([(), (), ("a",), ("1", "e")]),
        grammar=grammar,
        sampling=sampling,
        logprobs=chosen.choice([None, 2]),
        priority=chosen.randrange(3),
        pin_prefix=chosen.choice([0, 64]),
        ignore_eos=chosen.random() < 0.3,
    )


def ask_at_random(engine: LocalEngine, number: int, asked: Request, alone: asking.Whole) -> str:
    """What was done with it: read, cancelled in its middle, or resumed from its middle."""
    chosen = random.Random(number)
    time.sleep(chosen.random() * 0.5)
    way = chosen.choice(["read", "read", "cancel", "resume"])
    if way == "resume":
        cut = chosen.randrange(len(alone.tokens) + 1)
        resumed = asking.ask(engine, replace(asked, forced_output_ids=alone.ids[:cut]))
        assert resumed.tokens == alone.tokens[cut:]
        assert (resumed.finish.reason, resumed.finish.text) == (alone.finish.reason, alone.finish.text)
        return way
    after = chosen.randrange(1, 12) if way == "cancel" else -1
    answer = engine.submit(asked)
    events = []
    for event in answer:
        events.append(event)
        if len(events) == after:
            answer.cancel()
    finish = events[-1]
    assert isinstance(finish, Finish)
    tokens = tuple(event for event in events if isinstance(event, Token))
    assert tokens == alone.tokens[: len(tokens)]
    if finish.reason == "cancelled":
        return way
    assert (tokens, finish.reason, finish.text) == (alone.tokens, alone.finish.reason, alone.finish.text)
    return "read"


@pytest.mark.parametrize("block", [32, 64])
def test_random_company_changes_no_answer(block: int, tmp_path: Path) -> None:
    folder = asking.make_model(tmp_path, block=block)
    chosen = random.Random(block)
    asked = [some_request(chosen) for _ in range(COUNT)]
    single = asking.make_engine(folder, slots=1, prefix_bytes=0, limits=Limits(guess_up_to=0))
    alone = [asking.ask(single, item) for item in asked]
    single.close()
    engine = asking.make_engine(folder, slots=4, chunk=40, prefix_bytes=120_000, limits=Limits(guess_up_to=3))
    with ThreadPoolExecutor(COUNT) as pool:
        jobs = [pool.submit(ask_at_random, engine, *item) for item in zip(range(COUNT), asked, alone, strict=True)]
        done = [job.result(timeout=120) for job in jobs]
    status = engine.status().models["tiny"]
    engine.close()
    assert {"read", "cancel", "resume"} == set(done)
    assert (status.running, status.waiting, status.queued_tokens) == (0, 0, 0)
    assert status.prefix_hits > 0 and status.accepted > 0
    assert "error" not in status.finished
