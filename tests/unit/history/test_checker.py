# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The judge of histories: it finds each kind of fault, and finds none in what a correct store does."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from tests.history.checker import judge
from tests.history.gaps import acknowledged, longest_gap, longest_silence, percentile
from tests.history.load import judge_status
from tests.history.model import Kind, Operation, Outcome, State

OK, FAILED, UNKNOWN = Outcome.OK, Outcome.FAILED, Outcome.UNKNOWN
KEY = "register-0"


def operation(kind: Kind, number: int, start: float, end: float, outcome: Outcome = OK, key: str = "") -> Operation:
    return Operation(kind, key or (f"entry-{number}" if kind is Kind.ADD else KEY), number, start, end, outcome)


def final(number: int = 0, *entries: str) -> State:
    return State({KEY: number} if number else {}, frozenset(entries))


def test_nothing_is_wrong_with_what_is_there() -> None:
    history = [operation(Kind.ADD, 1, 0, 1), operation(Kind.SET, 2, 1, 2), operation(Kind.GET, 2, 2, 3)]
    verdict = judge(history, final(2, "entry-1"))
    assert (verdict.faults, verdict.acknowledged, verdict.unknown, verdict.reads) == ((), 2, 0, 1)


def test_an_acknowledged_entry_that_is_gone_is_lost() -> None:
    verdict = judge([operation(Kind.ADD, 1, 0, 1)], final())
    assert verdict.lost == ("lost: the entry entry-1 was acknowledged at 1.000 and is not there",)


@pytest.mark.parametrize("found", [0, 2])
def test_an_acknowledged_number_that_was_undone_is_lost(found: int) -> None:
    verdict = judge([operation(Kind.SET, 2, 0, 1), operation(Kind.SET, 4, 1, 2)], final(found))
    assert verdict.lost == (f"lost: {KEY} was acknowledged as 4 and is {found} at the end",)


@pytest.mark.parametrize("found", [2, 4])
def test_an_unknown_write_may_have_happened_or_not(found: int) -> None:
    history = [operation(Kind.SET, 2, 0, 1), operation(Kind.SET, 4, 1, 2, UNKNOWN)]
    assert judge(history, final(found)).faults == ()


@pytest.mark.parametrize("entries", [(), ("entry-1",)])
def test_an_unknown_entry_may_be_there_or_not(entries: tuple[str, ...]) -> None:
    assert judge([operation(Kind.ADD, 1, 0, 1, UNKNOWN)], final(0, *entries)).faults == ()


def test_what_was_refused_must_not_show() -> None:
    history = [
        operation(Kind.ADD, 1, 0, 1, FAILED),
        operation(Kind.SET, 2, 0, 1, FAILED),
        operation(Kind.GET, 2, 2, 3),
    ]
    assert len(judge(history, final(2, "entry-1")).ghosts) == 3


def test_a_number_that_is_read_before_it_is_written_is_a_ghost() -> None:
    history = [operation(Kind.GET, 2, 0, 1), operation(Kind.SET, 2, 2, 3)]
    assert judge(history, final(2)).ghosts == (f"ghost: {KEY} was read as 2 at 1.000, which nobody had written",)


def test_a_read_below_an_acknowledged_write_is_stale() -> None:
    history = [operation(Kind.SET, 2, 0, 1), operation(Kind.SET, 4, 1, 2), operation(Kind.GET, 2, 3, 4)]
    assert judge(history, final(4)).stale == (f"stale: {KEY} was read as 2 from 3.000, after 4 had been seen",)


def test_a_read_that_finds_nothing_after_a_write_is_stale() -> None:
    history = [operation(Kind.SET, 2, 0, 1), operation(Kind.GET, 0, 3, 4)]
    assert len(judge(history, final(2)).stale) == 1


def test_a_read_below_an_earlier_read_is_stale_though_the_write_is_unknown() -> None:
    history = [
        operation(Kind.SET, 2, 0, 1),
        operation(Kind.SET, 4, 1, 9, UNKNOWN),
        operation(Kind.GET, 4, 2, 3),
        operation(Kind.GET, 2, 4, 5),
    ]
    assert len(judge(history, final(4)).stale) == 1


def test_a_read_beside_a_write_may_see_either() -> None:
    history = [operation(Kind.SET, 2, 0, 1), operation(Kind.SET, 4, 2, 4)]
    for number in (2, 4):
        assert judge([*history, operation(Kind.GET, number, 3, 5)], final(4)).faults == ()


def test_a_read_without_an_answer_says_nothing() -> None:
    history = [operation(Kind.SET, 2, 0, 1), operation(Kind.GET, 0, 3, 4, UNKNOWN)]
    assert judge(history, final(2)).faults == ()


def simulated(chance: random.Random, steps: int = 120) -> tuple[list[Operation], State]:
    """What clients of a correct store see: each effect happens at one moment between start and end, or never."""
    events: list[tuple[float, int, Operation]] = []
    clock = 0.0
    for number in range(2, 2 * steps, 2):
        start, clock = clock, clock + chance.uniform(0.1, 1)
        outcome = chance.choices([OK, FAILED, UNKNOWN], [8, 1, 1])[0]
        takes = outcome is OK or (outcome is UNKNOWN and chance.random() < 0.5)
        effect = chance.uniform(start, clock) if takes else -1.0
        events.append((effect, number, operation(Kind.SET, number, start, clock, outcome)))
    reads = []
    for _ in range(steps):
        start = chance.uniform(0, clock)
        end = start + chance.uniform(0.01, 2)
        moment = chance.uniform(start, end)
        seen = max((number for effect, number, _ in events if 0 <= effect <= moment), default=0)
        reads.append(operation(Kind.GET, seen, start, end))
    last = max((number for effect, number, _ in events if effect >= 0), default=0)
    return [*(one for _, _, one in events), *reads], final(last)


@pytest.mark.parametrize("seed", range(60))
def test_a_correct_store_has_no_faults(seed: int) -> None:
    history, state = simulated(random.Random(seed))
    random.Random(seed).shuffle(history)
    assert judge(history, state).faults == ()


@pytest.mark.parametrize("seed", range(60))
def test_a_store_that_forgets_its_last_acknowledged_write_is_found(seed: int) -> None:
    history, _ = simulated(random.Random(seed))
    numbers = [one.number for one in history if one.kind is Kind.SET and one.outcome is OK]
    assert judge(history, final(max(numbers) - 2)).lost


@pytest.mark.parametrize("seed", range(60))
def test_a_read_that_is_set_back_is_found(seed: int) -> None:
    chance = random.Random(seed)
    history, state = simulated(chance)
    done = [one for one in history if one.kind is Kind.SET and one.outcome is OK]
    candidates = [
        (index, write)
        for index, one in enumerate(history)
        if one.kind is Kind.GET
        for write in done
        if write.end < one.start
    ]
    index, write = chance.choice(candidates)
    history[index] = replace(history[index], number=write.number - 2)
    verdict = judge(history, state)
    assert verdict.stale or verdict.ghosts


def test_the_longest_gap_counts_the_ends_of_the_window() -> None:
    assert longest_gap([1, 2, 2.5, 9], since=0, until=5) == 2.5
    assert longest_gap([], since=1, until=3) == 2
    assert longest_silence([2, 5, 6], since=1, until=6) == (3, 1)


def test_only_acknowledged_writes_end_a_gap() -> None:
    history = [
        operation(Kind.SET, 2, 0, 1),
        operation(Kind.SET, 4, 1, 2, UNKNOWN),
        operation(Kind.GET, 2, 2, 3),
        operation(Kind.ADD, 5, 3, 4),
    ]
    assert acknowledged(history) == [1, 4]


def test_percentiles_are_values_that_were_seen() -> None:
    values = [5.0, 1.0, 4.0, 2.0, 3.0]
    assert (percentile(values, 0.5), percentile(values, 0.99), percentile(values, 0.0)) == (3.0, 5.0, 1.0)
    with pytest.raises(ValueError, match="nothing"):
        percentile([], 0.5)


@pytest.mark.parametrize(
    ("kind", "status", "outcome"),
    [
        (Kind.SET, 200, OK),
        (Kind.ADD, 201, OK),
        (Kind.GET, 404, OK),
        (Kind.SET, 404, FAILED),
        (Kind.SET, 409, UNKNOWN),
        (Kind.ADD, 429, FAILED),
        (Kind.SET, 500, UNKNOWN),
        (Kind.GET, 503, UNKNOWN),
    ],
)
def test_what_an_answer_means(kind: Kind, status: int, outcome: Outcome) -> None:
    assert judge_status(kind, status) is outcome
