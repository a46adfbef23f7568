# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose turn it is: nobody starves, clients have equal shares, and who is put out goes on with the same answer."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from holdfast_inference.engine.fairness import BEGUN_ELSEWHERE, PATIENCE_SECONDS, Fairness
from holdfast_inference.engine.local import LocalEngine
from holdfast_inference.engine.scheduler import Limits
from holdfast_inference.words import Grammar, Refused, Request, Sampling
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.inference.engine import asking
from tests.inference.engine.asking import prompt, request
from tests.inference.server.running import wait_until

TICK = 0.05


@dataclass(eq=False)
class Job:
    client: str
    priority: int
    size: int
    order: int
    waits_since: float
    done: int = 0
    sheltered: bool = False
    put_out: int = 0
    ended: float | None = None

    @property
    def begun(self) -> bool:
        return self.done > 0


class Machine:
    """As the scheduler does it, with a token a tick for each that runs."""

    def __init__(self, slots: int) -> None:
        self.now = 0.0
        self.fair = Fairness(lambda: self.now)
        self.slots = slots
        self.waiting: list[Job] = []
        self.running: list[Job] = []
        self.served: Counter[str] = Counter()
        self._arrivals = 0

    def come(self, client: str, size: int, priority: int = 0) -> Job:
        self._arrivals += 1
        job = Job(client, priority, size, self._arrivals, self.now)
        self.fair.arrived(client)
        self.waiting.append(job)
        return job

    def tick(self) -> None:
        self._admit()
        assert len(self.running) == self.slots or not self.waiting
        for job in list(self.running):
            job.done += 1
            self.served[job.client] += 1
            self.fair.computed(job.client, 1)
            if job.done >= job.size:
                self.running.remove(job)
                job.ended = self.now
                self.fair.left(job.client)
        self.now += TICK

    def _admit(self) -> None:
        while self.waiting:
            if len(self.running) < self.slots:
                job = self.fair.first(self.waiting)
            else:
                change = self.fair.puts_out(self.waiting, self.running)
                if change is None:
                    return
                job, other = change
                assert other.priority < job.priority < BEGUN_ELSEWHERE
                assert not other.sheltered
                other.put_out += 1
                other.waits_since = self.now
                self.running.remove(other)
                self.waiting.append(other)
            self.fair.took(job, self.waiting)
            job.sheltered = self.fair.is_overdue(job)
            self.waiting.remove(job)
            self.running.append(job)


JOBS = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(1, 60), st.integers(-2, 2), st.integers(0, 30)),
    min_size=1,
    max_size=40,
)


@settings(max_examples=60, deadline=None)
@given(jobs=JOBS, slots=st.integers(1, 4))
def test_all_that_comes_is_done_and_no_slot_is_idle(jobs: list[tuple[str, int, int, int]], slots: int) -> None:
    machine = Machine(slots)
    come = [machine.come(client, size, priority) for client, size, priority, _ in jobs[:1]]
    for client, size, priority, pause in jobs[1:]:
        for _ in range(pause):
            machine.tick()
        come.append(machine.come(client, size, priority))
    for _ in range(sum(job.size for job in come) + 1):
        machine.tick()
    assert all(job.ended is not None for job in come)
    # What is put out loses nothing, so the work is what was asked for.
    assert sum(machine.served.values()) == sum(job.size for job in come)
    assert not machine.fair._under_way and not machine.fair._counts


@pytest.mark.parametrize("slots", [1, 3])
@pytest.mark.parametrize("sizes", [(1, 2), (1, 1, 1, 31), (40, 3), (7, 20, 33)])
def test_clients_have_equal_shares_whatever_the_size_of_what_they_ask(sizes: tuple[int, ...], slots: int) -> None:
    """Each has always more waiting; what they got differs by no more than what one can have in its slots."""
    machine = Machine(slots)
    clients = {f"client {number}": size for number, size in enumerate(sizes)}
    for _ in range(800):
        for client, size in clients.items():
            while sum(job.client == client for job in machine.waiting) < slots:
                machine.come(client, size)
        machine.tick()
    served = [machine.served[client] for client in clients]
    assert max(served) - min(served) <= (2 * slots + 1) * max(sizes)


@pytest.mark.parametrize("many", [1, 5, 50])
def test_a_flood_of_one_client_does_not_delay_another(many: int) -> None:
    machine = Machine(2)
    for _ in range(many):
        machine.come("flood", 30)
    for _ in range(5):
        machine.tick()
    other = machine.come("other", 10)
    for _ in range(30 + 10 + 1):
        machine.tick()
    assert other.ended is not None


def test_who_was_away_has_saved_up_no_turns() -> None:
    machine = Machine(1)
    machine.come("away", 1)
    machine.tick()
    for _ in range(500):
        if not machine.waiting:
            machine.come("busy", 10)
        machine.tick()
    for _ in range(30):
        machine.come("away", 10)
        machine.come("busy", 10)
    before = Counter(machine.served)
    for _ in range(200):
        machine.tick()
    assert abs(machine.served["away"] - before["away"] - 100) <= 20


@pytest.mark.parametrize("slots", [1, 4])
def test_the_least_important_gets_through_an_endless_stream_of_more_important_ones(slots: int) -> None:
    """Also when it was put out again and again at first."""
    machine = Machine(slots)
    low = [machine.come("low", 40, -5) for _ in range(3)]
    chosen = random.Random(1)
    for _ in range(4_000):
        while len(machine.waiting) < 2 * slots + 3:
            machine.come(chosen.choice("xyz"), chosen.randrange(5, 25), chosen.choice([0, 5]))
        machine.tick()
    assert all(job.ended is not None for job in low)
    # At most each fourth turn goes to who is overdue, so that a crowd of the unimportant delays nobody much.
    assert machine.served["low"] == 120


def test_an_overdue_crowd_leaves_the_important_three_of_four_turns() -> None:
    machine = Machine(1)
    for _ in range(400):
        machine.come("crowd", 5, -1)
    for _ in range(int(PATIENCE_SECONDS / TICK) + 1):
        machine.tick()
    before = Counter(machine.served)
    for _ in range(2000):
        while sum(job.client == "boss" for job in machine.waiting) < 2:
            machine.come("boss", 5, 1)
        machine.tick()
    assert machine.served["boss"] - before["boss"] >= 0.7 * 2000
    assert machine.served["crowd"] - before["crowd"] >= 0.2 * 2000


def test_what_was_begun_elsewhere_goes_first_and_puts_nobody_out() -> None:
    machine = Machine(1)
    running = machine.come("a", 20)
    machine.tick()
    new = machine.come("b", 5)
    begun = machine.come("c", 5, BEGUN_ELSEWHERE)
    for _ in range(40):
        machine.tick()
    assert running.put_out == 0
    assert running.ended is not None and begun.ended is not None and new.ended is not None
    assert running.ended < begun.ended < new.ended


# -- with a real engine ---------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return asking.make_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def engine(folder: Path) -> Iterator[LocalEngine]:
    made = asking.make_engine(folder, slots=2)
    yield made
    made.close()


KINDS: dict[str, dict[str, Any]] = {
    "greedy": {},
    "drawn": {"sampling": Sampling(temperature=1.0, seed=7, top_p=0.9)},
    "penalised": {"sampling": Sampling(temperature=0.7, seed=3, frequency_penalty=0.6, repetition_penalty=1.2)},
    "grammar": {"grammar": Grammar("regex", "([a-f]{3,9}-[0-9]{4}\n){12}")},
    "stops": {"stop": ("zz", "qq"), "logprobs": 2},
}


@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_that_was_put_out_goes_on_byte_for_byte(kind: str, folder: Path, engine: LocalEngine) -> None:
    low = [request(prompt(60 + n, seed=n), max_tokens=90, priority=-1, ignore_eos=True, **KINDS[kind]) for n in (1, 2)]
    alone = [asking.ask(engine, asked) for asked in low]

    def drawn() -> int:
        return engine.status().models["tiny"].completion_tokens

    begin = drawn()
    answers = [engine.submit(asked) for asked in low]
    for number in range(2):
        wait_until(lambda begin=begin: drawn() > begin + 6, 20)  # type: ignore[misc]
        asking.ask(engine, request(prompt(20, seed=50 + number), max_tokens=3, priority=3))
        begin = drawn()
    found = [asking.read(answer) for answer in answers]
    assert engine.status().models["tiny"].preempted >= 1
    for whole, wanted in zip(found, alone, strict=True):
        assert whole.tokens == wanted.tokens
        assert (whole.finish.reason, whole.finish.text) == (wanted.finish.reason, wanted.finish.text)
        # What the cache knew of the prompt was more the second time; all else is the same.
        usage = whole.finish.usage
        assert (usage.prompt, usage.completion) == (wanted.finish.usage.prompt, wanted.finish.usage.completion)


def test_an_important_request_does_not_wait_for_a_slot(engine: LocalEngine) -> None:
    low = [engine.submit(request(prompt(30, seed=n), max_tokens=400, ignore_eos=True)) for n in range(2)]
    wait_until(lambda: engine.status().models["tiny"].running == 2, 20)
    asking.ask(engine, request(prompt(20), max_tokens=4, priority=1))
    assert engine.status().models["tiny"].running + engine.status().models["tiny"].waiting == 2
    for answer in low:
        answer.cancel()
        assert asking.read(answer).finish.reason == "cancelled"


def test_an_answer_can_be_cancelled_while_it_is_put_out(engine: LocalEngine) -> None:
    low = engine.submit(request(prompt(30), max_tokens=400, ignore_eos=True, priority=-1))
    wait_until(lambda: engine.status().models["tiny"].running == 1, 20)
    high = [engine.submit(request(prompt(30, seed=n), max_tokens=400, ignore_eos=True)) for n in range(2)]
    wait_until(lambda: engine.status().models["tiny"].waiting == 1, 20)
    low.cancel()
    assert asking.read(low).finish.reason == "cancelled"
    assert engine.status().models["tiny"].running == 2
    for answer in high:
        answer.cancel()
        asking.read(answer)


def test_a_full_queue_has_room_for_who_has_less_than_its_share(folder: Path) -> None:
    def asked(client: str, size: int) -> Request:
        return request(prompt(20), max_tokens=size, ignore_eos=True, client=client)

    engine = asking.make_engine(folder, slots=1, limits=Limits(queue_tokens=1000))
    flood = []
    with pytest.raises(Refused, match="for this client") as refusal:
        for _ in range(50):
            flood.append(engine.submit(asked("flood", 200)))
    assert refusal.value.code == "queue_full"
    other = engine.submit(asked("other", 100))
    # Not without an end, whatever it is called: its share is a third of what there is, and then a fourth.
    with pytest.raises(Refused):
        for _ in range(50):
            flood.append(engine.submit(asked("other", 200)))
    assert engine.status().models["tiny"].queued_tokens < 2 * 1000
    for answer in [*flood, other]:
        answer.cancel()
    engine.close()


def test_clients_share_a_busy_engine(folder: Path) -> None:
    """One asks for much at once, another for little now and then; the second does not wait for all of the first."""
    engine = asking.make_engine(folder, slots=1)
    flood = [engine.submit(request(prompt(20, seed=n), max_tokens=60, ignore_eos=True, client="a")) for n in range(12)]
    wait_until(lambda: engine.status().models["tiny"].running == 1, 20)
    asking.ask(engine, replace(request(prompt(25, seed=99), max_tokens=8), client="b"))
    assert engine.status().models["tiny"].waiting >= 3
    for answer in flood:
        answer.cancel()
    engine.close()
