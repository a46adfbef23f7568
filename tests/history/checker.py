# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judges a history: what was acknowledged is there, nothing refused ever shows, and no read goes back in time."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from .model import Kind, Operation, Outcome, State


@dataclass(frozen=True)
class Verdict:
    """What was counted and what is wrong, each fault a sentence."""

    acknowledged: int
    unknown: int
    reads: int
    lost: tuple[str, ...]
    stale: tuple[str, ...]
    ghosts: tuple[str, ...]

    @property
    def faults(self) -> tuple[str, ...]:
        return (*self.lost, *self.stale, *self.ghosts)


def judge(history: Iterable[Operation], final: State) -> Verdict:
    """Judge the history of any number of clients against the state that was found at the end."""
    operations = list(history)
    writes = [one for one in operations if one.kind in (Kind.ADD, Kind.SET)]
    reads = [one for one in operations if one.kind is Kind.GET and one.outcome is Outcome.OK]
    return Verdict(
        acknowledged=sum(one.outcome is Outcome.OK for one in writes),
        unknown=sum(one.outcome is Outcome.UNKNOWN for one in writes),
        reads=len(reads),
        lost=(*_lost_entries(writes, final), *_lost_numbers(writes, final)),
        stale=tuple(_stale(writes, reads)),
        ghosts=(*_ghost_entries(writes, final), *_ghost_numbers(writes, reads, final)),
    )


def _lost_entries(writes: Sequence[Operation], final: State) -> Iterator[str]:
    for one in writes:
        if one.kind is Kind.ADD and one.outcome is Outcome.OK and one.key not in final.entries:
            yield f"lost: the entry {one.key} was acknowledged at {one.end:.3f} and is not there"


def _lost_numbers(writes: Sequence[Operation], final: State) -> Iterator[str]:
    for key, number in _highest(one for one in writes if one.outcome is Outcome.OK).items():
        found = final.registers.get(key, 0)
        if found < number:
            yield f"lost: {key} was acknowledged as {number} and is {found} at the end"


def _highest(writes: Iterable[Operation]) -> dict[str, int]:
    numbers: dict[str, int] = {}
    for one in writes:
        if one.kind is Kind.SET:
            numbers[one.key] = max(one.number, numbers.get(one.key, 0))
    return numbers


def _ghost_entries(writes: Sequence[Operation], final: State) -> Iterator[str]:
    possible = {one.key for one in writes if one.kind is Kind.ADD and one.outcome is not Outcome.FAILED}
    for key in sorted(final.entries - possible):
        yield f"ghost: the entry {key} is there, and nobody was told that it might be"


def _ghost_numbers(writes: Sequence[Operation], reads: Sequence[Operation], final: State) -> Iterator[str]:
    began: dict[tuple[str, int], float] = {}
    for one in writes:
        if one.kind is Kind.SET and one.outcome is not Outcome.FAILED:
            name = (one.key, one.number)
            began[name] = min(one.start, began.get(name, one.start))
    for one in reads:
        since = began.get((one.key, one.number))
        if one.number and (since is None or since > one.end):
            yield f"ghost: {one.key} was read as {one.number} at {one.end:.3f}, which nobody had written"
    for key, number in final.registers.items():
        if number and (key, number) not in began:
            yield f"ghost: {key} is {number} at the end, which nobody wrote"


def _stale(writes: Sequence[Operation], reads: Sequence[Operation]) -> Iterator[str]:
    """Reads below what was acknowledged, or read, before they began: the state of a register can only rise."""
    seen: dict[str, list[tuple[float, int]]] = defaultdict(list)
    for one in (*writes, *reads):
        if one.kind in (Kind.SET, Kind.GET) and one.outcome is Outcome.OK:
            seen[one.key].append((one.end, one.number))
    floors = {key: _rising(points) for key, points in seen.items()}
    for one in reads:
        ends, numbers = floors[one.key]
        before = bisect_left(ends, one.start)
        floor = numbers[before - 1] if before else 0
        if one.number < floor:
            yield f"stale: {one.key} was read as {one.number} from {one.start:.3f}, after {floor} had been seen"


def _rising(points: Iterable[tuple[float, int]]) -> tuple[list[float], list[int]]:
    ends: list[float] = []
    numbers: list[int] = []
    for end, number in sorted(points):
        ends.append(end)
        numbers.append(max(number, numbers[-1] if numbers else 0))
    return ends, numbers
