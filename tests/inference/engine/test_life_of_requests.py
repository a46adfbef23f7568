# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How requests come, wait, end and are refused, on a real engine with a tiny model."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from holdfast_inference.engine import fairness
from holdfast_inference.engine.local import LocalEngine
from holdfast_inference.engine.runner import Runner
from holdfast_inference.engine.scheduler import Limits
from holdfast_inference.words import Engine, Event, Finish, Sampling, Token

from tests.inference.engine import asking
from tests.inference.engine.asking import ask, prompt, read, refused, request

LONG = 400


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return asking.make_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def shared(folder: Path) -> Iterator[LocalEngine]:
    engine = asking.make_engine(folder)
    yield engine
    engine.close()


@pytest.fixture
def single(folder: Path) -> Iterator[LocalEngine]:
    """One slot, so that the others wait."""
    engine = asking.make_engine(folder, slots=1, limits=Limits(queue_tokens=900))
    yield engine
    engine.close()


def eventually(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to pass"
        time.sleep(0.002)


def slow_down(monkeypatch: pytest.MonkeyPatch, seconds: float = 0.01) -> None:
    """As a larger model would be; the tiny one is done before a test can look."""
    step = Runner.step

    def slowly(self: Runner, rows: Any) -> Any:
        time.sleep(seconds)
        return step(self, rows)

    monkeypatch.setattr(Runner, "step", slowly)


def test_it_is_an_engine_by_the_shared_words(shared: LocalEngine) -> None:
    engine: Engine = shared
    facts = engine.models()["tiny"]
    assert facts.row_quantum in (1, 2, 4, 8)
    assert facts.fingerprint.startswith(facts.digest[:12]) and facts.fingerprint.endswith(f"q{facts.row_quantum}")
    assert facts.has_chat and engine.tokenizer("tiny").id_of("<|end|>") in facts.eos_ids


def test_events_are_in_order_and_end_once(shared: LocalEngine) -> None:
    answer = ask(shared, request(prompt(40), max_tokens=30, logprobs=2, ignore_eos=True))
    assert [token.index for token in answer.tokens] == list(range(30))
    assert answer.finish.reason == "length"
    assert (answer.finish.usage.prompt, answer.finish.usage.completion) == (40, 30)
    assert all(token.logprob == token.top[0][1] and len(token.top) == 2 for token in answer.tokens)
    assert answer.text == shared.tokenizer("tiny").decode(answer.ids)


def test_the_context_ends_an_answer(shared: LocalEngine) -> None:
    answer = ask(shared, request(prompt(500), max_tokens=100, ignore_eos=True))
    assert answer.finish.reason == "length"
    assert answer.finish.usage.completion == 12


def test_the_end_token_and_stop_ids_end_it(shared: LocalEngine) -> None:
    free = ask(shared, request(prompt(30), ignore_eos=True))
    at = next(index for index in range(3, 20) if free.ids[index] not in free.ids[:index])
    stopped = ask(shared, request(prompt(30), ignore_eos=True, stop_ids=(free.ids[at],)))
    assert (stopped.ids, stopped.finish.reason) == (free.ids[: at + 1], "stop")
    assert stopped.tokens[-1].text == ""
    ended = ask(shared, request(prompt(30), sampling=Sampling(temperature=0.0, logit_bias={1: 500.0})))
    assert (ended.ids, ended.finish.reason, ended.text) == ((1,), "stop", "")
    later = request(prompt(30), min_tokens=7, sampling=Sampling(temperature=0.0, logit_bias={1: 500.0}))
    assert len(ask(shared, later).ids) == 8


def test_a_prompt_that_was_read_before_is_not_read_again(single: LocalEngine) -> None:
    first, second = (ask(single, request(prompt(200), max_tokens=30)) for _ in range(2))
    assert (first.finish.usage.cached, second.finish.usage.cached) == (0, 192)
    assert second.tokens == first.tokens
    conversation = (*prompt(200), *first.ids, *prompt(30, seed=3))
    assert ask(single, request(conversation)).finish.usage.cached >= 192 + 24
    status = single.status().models["tiny"]
    assert (status.prefix_queries, status.prefix_hits) == (3, 2)


def test_a_prompt_is_read_once_for_all_who_ask_it_together(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with n answers to one question, or a burst of questions with one system prompt."""
    slow_down(monkeypatch)
    engine = asking.make_engine(folder, chunk=32)
    seeds = [{"sampling": Sampling(temperature=0.9, seed=seed)} for seed in range(4)]
    asked = [request((*prompt(300), *prompt(9, seed=index)), **changes) for index, changes in enumerate(seeds)]
    got = [read(answer) for answer in [engine.submit(item) for item in asked]]
    status = engine.status().models["tiny"]
    assert [answer.finish.usage.cached for answer in got] == [0, 288, 288, 288]
    assert status.prompt_tokens == 309 + 3 * 21
    for item, answer in zip(asked, got, strict=True):
        assert ask(engine, replace(item, id=item.id + "-again")).tokens == answer.tokens
    engine.close()


def test_who_waited_for_a_reader_that_left_reads_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slow_down(monkeypatch, 0.03)
    engine = asking.make_engine(folder, chunk=32)
    leader, follower = (engine.submit(request((*prompt(400), index))) for index in (5, 6))
    eventually(lambda: engine.status().models["tiny"].running == 2)
    leader.cancel()
    assert read(leader).finish.reason == "cancelled"
    assert read(follower).finish.reason == "length"
    engine.close()


def test_cancelling_frees_the_slot_at_once(single: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    slow_down(monkeypatch)
    running = single.submit(request(prompt(20), max_tokens=LONG, ignore_eos=True))
    waiting = single.submit(request(prompt(21), max_tokens=LONG, ignore_eos=True))
    third = single.submit(request(prompt(22), max_tokens=2, ignore_eos=True))
    events = iter(running)
    seen = [next(events) for _ in range(3)]
    waiting.cancel()
    running.cancel()
    running.cancel()
    rest = list(events)
    assert all(isinstance(event, Token) for event in seen)
    assert isinstance(rest[-1], Finish) and rest[-1].reason == "cancelled"
    assert len(rest) < LONG // 2
    assert read(waiting).finish.reason == "cancelled"
    assert read(third).finish.reason == "length"
    assert single.status().models["tiny"].finished == {"cancelled": 2, "length": 1}


def test_a_reader_that_goes_away_cancels(single: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    slow_down(monkeypatch)

    async def leave() -> None:
        count = 0
        answer = single.submit(request(prompt(20), max_tokens=LONG, ignore_eos=True))
        events = answer.__aiter__()
        async for _ in events:
            count += 1
            if count == 3:
                break
        await events.aclose()  # type: ignore[attr-defined]

    asyncio.run(leave())
    eventually(lambda: single.status().models["tiny"].running == 0)
    assert single.status().models["tiny"].finished == {"cancelled": 1}


def test_event_loops_get_the_same_events(shared: LocalEngine) -> None:
    async def collect(ids: tuple[int, ...]) -> list[Event]:
        return [event async for event in shared.submit(request(ids))]

    async def all_at_once() -> list[list[Event]]:
        return await asyncio.gather(*(collect(prompt(20 + seed, seed=seed)) for seed in range(8)))

    for seed, events in enumerate(asyncio.run(all_at_once())):
        assert read(events).tokens == ask(shared, request(prompt(20 + seed, seed=seed))).tokens


def test_deadlines_hold_while_running_and_while_waiting(single: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    slow_down(monkeypatch, 0.03)
    # On a busy machine asking alone may take a second.
    soon = time.monotonic() + 3.0
    running = single.submit(request(prompt(20), max_tokens=LONG, ignore_eos=True, deadline=soon))
    waiting = single.submit(request(prompt(21), max_tokens=LONG, ignore_eos=True, deadline=soon))
    first, second = read(running), read(waiting)
    assert first.finish.reason == second.finish.reason == "deadline"
    assert 0 < len(first.ids) < LONG and second.ids == ()
    assert time.monotonic() < soon + 5
    late = request(prompt(20), deadline=time.monotonic() - 1)
    assert refused(lambda: single.submit(late)).code == "deadline_exceeded"


def test_the_important_go_first_and_the_resumed_before_their_equals(
    single: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow_down(monkeypatch)
    # On a busy machine all of them would be overdue.
    monkeypatch.setattr(fairness, "PATIENCE_SECONDS", 3600.0)
    order: list[str] = []
    leave = single._served["tiny"].scheduler._leave

    def noting(work: Any, ending: Any) -> None:
        order.append(work.request.id)
        leave(work, ending)

    monkeypatch.setattr(single._served["tiny"].scheduler, "_leave", noting)
    short: dict[str, Any] = {"max_tokens": 3, "ignore_eos": True}
    asked = [
        request(prompt(30), id="running", max_tokens=100, ignore_eos=True),
        request(prompt(31), id="first", **short),
        request(prompt(32), id="second", **short),
        request(prompt(33), id="resumed", forced_output_ids=(5,), **short),
        request(prompt(34), id="important", priority=3, **short),
        request(prompt(35), id="idle", priority=-1, **short),
    ]
    answers = []
    for item in asked:
        answers.append(single.submit(item))
        if item.id == "running":
            eventually(lambda: single.status().models["tiny"].running == 1)
    for answer in answers:
        assert read(answer).finish.reason == "length"
    # The important one puts out the one that runs, which then goes on before all that is new.
    assert order == ["important", "running", "resumed", "first", "second", "idle"]


def test_a_long_prompt_stalls_nobody(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While 490 tokens are read in chunks of 32, the one who answers gets a token with every step."""
    engine = asking.make_engine(folder, chunk=32)
    steps: list[list[int]] = []
    step = Runner.step

    def noting(self: Runner, rows: Any) -> Any:
        steps.append([len(item.tokens) for item in rows])
        time.sleep(0.002)
        return step(self, rows)

    monkeypatch.setattr(Runner, "step", noting)
    talking = engine.submit(request(prompt(20), max_tokens=100, ignore_eos=True))
    events = iter(talking)
    next(events)
    assert read(engine.submit(request(prompt(490), max_tokens=2, ignore_eos=True))).finish.reason == "length"
    list(events)
    together = [item for item in steps if len(item) == 2 and max(item) > 5]
    assert len(together) >= 14
    assert all(sum(item) <= 32 + 10 for item in steps)
    engine.close()


def test_what_is_too_much_is_refused_with_a_time_to_wait(single: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    slow_down(monkeypatch)
    held = [single.submit(request(prompt(100), max_tokens=400, ignore_eos=True)) for _ in range(2)]
    refusal = refused(lambda: single.submit(request(prompt(100), max_tokens=400)))
    assert refusal.code == "queue_full"
    assert refusal.retry_after is not None and 1 <= refusal.retry_after <= 30
    assert single.status().models["tiny"].queued_tokens <= 2 * (100 + 256)
    small = single.submit(request(prompt(20), max_tokens=10))
    for answer in (*held, small):
        answer.cancel()
        read(answer)
    assert ask(single, request(prompt(100), max_tokens=4, ignore_eos=True)).finish.reason == "length"


def test_the_queue_learns_how_long_answers_are(single: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Short answers, though they might be long: then more of them may wait."""
    short: dict[str, Any] = {"max_tokens": LONG, "stop_ids": tuple(range(512))}
    for _ in range(60):
        assert len(ask(single, request(prompt(5), **short)).ids) == 1
    slow_down(monkeypatch)
    answers = [single.submit(request(prompt(20), **short)) for _ in range(10)]
    assert [len(read(answer).ids) for answer in answers] == [1] * 10


def test_senseless_requests_are_refused(shared: LocalEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    good = request(prompt(20))
    cases: list[tuple[str, Callable[[], object]]] = [
        ("unknown_model", lambda: shared.submit(replace(good, model="large"))),
        ("context_length_exceeded", lambda: shared.submit(replace(good, prompt_ids=prompt(512)))),
        ("context_length_exceeded", lambda: shared.submit(replace(good, forced_output_ids=prompt(500)))),
        ("invalid_value", lambda: shared.submit(replace(good, prompt_ids=(1, 512)))),
        ("invalid_value", lambda: shared.submit(replace(good, forced_output_ids=(-1,)))),
        ("invalid_value", lambda: replace(good, prompt_ids=())),
        ("invalid_value", lambda: replace(good, max_tokens=0)),
        ("invalid_value", lambda: replace(good, logprobs=21)),
        ("invalid_value", lambda: replace(good, stop=("",))),
        ("unknown_model", lambda: shared.tokenizer("large")),
    ]
    for code, action in cases:
        assert refused(action).code == code
    slow_down(monkeypatch)
    answer = shared.submit(replace(good, id="mine"))
    assert refused(lambda: shared.submit(replace(good, id="mine"))).code == "duplicate_request"
    answer.cancel()


def test_a_step_that_fails_ends_its_requests_and_not_the_engine(
    shared: LocalEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    step, failing = Runner.step, [True]

    def fails_once(self: Runner, rows: Any) -> Any:
        if failing:
            failing.clear()
            raise RuntimeError("no memory for this")
        return step(self, rows)

    monkeypatch.setattr(Runner, "step", fails_once)
    broken = ask(shared, request(prompt(20)))
    assert broken.finish.reason == "error" and "no memory for this" in broken.finish.message
    assert ask(shared, request(prompt(20))).finish.reason == "length"


# -- models come and go ---------------------------------------------------------------------------------------------
def test_drained_engines_finish_and_refuse(folder: Path) -> None:
    engine = asking.make_engine(folder)
    answer = engine.submit(request(prompt(20), ignore_eos=True))
    engine.drain()
    assert engine.status().draining
    refusal = refused(lambda: engine.submit(request(prompt(20))))
    assert refusal.code == "draining" and refusal.retry_after
    assert len(read(answer).ids) == 24
    engine.close()


def test_closing_ends_what_runs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = asking.make_engine(folder, slots=1)
    slow_down(monkeypatch)
    answers = [engine.submit(request(prompt(20), max_tokens=LONG, ignore_eos=True)) for _ in range(3)]
    engine.close()
    assert [read(answer).finish.reason for answer in answers] == ["cancelled"] * 3
    assert refused(lambda: engine.submit(request(prompt(20)))).code == "draining"


def test_an_idle_engine_burns_nothing(shared: LocalEngine) -> None:
    ask(shared, request(prompt(20)))
    time.sleep(0.1)
    before = time.process_time()
    time.sleep(1.0)
    assert time.process_time() - before < 0.02
