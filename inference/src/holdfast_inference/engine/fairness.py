# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""Whose turn it is.

The most important goes first. Of equals, what was begun goes on first, and then whoever's client had the fewest tokens
computed: each client has a count, and one that comes with nothing under way begins at the lowest count of those that
have, so that nobody saves up turns by staying away and nobody is punished for what was computed while others slept.
Who is only away between one question and the next keeps what it is behind, up to `CREDIT_TOKENS`.

Nobody starves. Who has waited long is overdue, and each fourth turn that passes over somebody overdue is given to the
one who has waited longest. While slots are full, a more important request puts out the least important one that runs;
but nobody who was overdue, and what was begun at another node puts nobody out, since that would only move the pause.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

PATIENCE_SECONDS = 5.0
PASSED_OVER_MOST = 3
CREDIT_TOKENS = 1024
BEGUN_ELSEWHERE = 999
"""The priority with which gateways ask to go on with an answer."""


class Turn(Protocol):
    """A request that wants a slot, or has one."""

    @property
    def client(self) -> str: ...

    @property
    def priority(self) -> int: ...

    @property
    def begun(self) -> bool:
        """Whether a part of its answer is there already."""

    @property
    def order(self) -> int:
        """By arrival."""

    @property
    def waits_since(self) -> float: ...

    @property
    def sheltered(self) -> bool:
        """Whether nobody may put it out."""


AnyTurn = TypeVar("AnyTurn", bound=Turn)


class Fairness:
    """`arrived` and `left` under a lock of the caller, the rest from one thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._counts: Counter[str] = Counter()
        self._under_way: Counter[str] = Counter()
        self._passed_over = 0

    def arrived(self, client: str) -> None:
        """A request of this client has come."""
        if not self._under_way[client]:
            lowest = self._lowest()
            self._counts[client] = max(self._counts.get(client, lowest), lowest - CREDIT_TOKENS)
        self._under_way[client] += 1

    def computed(self, client: str, tokens: int) -> None:
        """So much was done for it."""
        self._counts[client] += tokens

    def left(self, client: str) -> None:
        """A request of this client has ended."""
        self._under_way[client] -= 1
        if not self._under_way[client]:
            del self._under_way[client]
            self._forget()

    def _lowest(self) -> int:
        return min((self._counts[client] for client in self._under_way), default=0)

    def _forget(self) -> None:
        """Where nothing is under way all are equal; else those who were away for long begin as new ones do."""
        lowest = self._lowest()
        for client in [client for client in self._counts if client not in self._under_way]:
            if not self._under_way or self._counts[client] < lowest - CREDIT_TOKENS:
                del self._counts[client]

    def rank(self, turn: Turn) -> tuple[int, bool, int, int]:
        """The lowest goes first."""
        return -turn.priority, not turn.begun, self._counts[turn.client], turn.order

    def is_overdue(self, turn: Turn) -> bool:
        """Whether it has waited so long that others must not pass it over for ever."""
        return self._clock() - turn.waits_since >= PATIENCE_SECONDS

    def first(self, waiting: Sequence[AnyTurn]) -> AnyTurn:
        """Who gets a slot that is free. To be told with `took` if it does."""
        longest = self._longest_overdue(waiting)
        if longest is not None and self._passed_over >= PASSED_OVER_MOST:
            return longest
        return min(waiting, key=self.rank)

    def took(self, turn: AnyTurn, waiting: Sequence[AnyTurn]) -> None:
        """It has a slot; `waiting` are those that were there, itself among them."""
        longest = self._longest_overdue(waiting)
        self._passed_over = 0 if longest is None or turn is longest else self._passed_over + 1

    def puts_out(self, waiting: Sequence[AnyTurn], running: Sequence[AnyTurn]) -> tuple[AnyTurn, AnyTurn] | None:
        """While all slots are taken: who gets the slot of whom, or None."""
        able = [turn for turn in waiting if turn.priority < BEGUN_ELSEWHERE]
        if not able:
            return None
        wants = min(able, key=self.rank)
        weaker = [turn for turn in running if turn.priority < wants.priority and not turn.sheltered]
        return (wants, max(weaker, key=self.rank)) if weaker else None

    def _longest_overdue(self, waiting: Sequence[AnyTurn]) -> AnyTurn | None:
        overdue = [turn for turn in waiting if self.is_overdue(turn)]
        return min(overdue, key=lambda turn: (turn.waits_since, turn.order), default=None)
