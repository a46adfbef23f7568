# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""Sums and percentiles over the last 60 seconds, in bounded memory."""

from __future__ import annotations

import math
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

WINDOW_SECONDS = 60
STEP = 1.02
"""Neighbouring bins of a distribution differ by this factor, so a percentile is wrong by at most 1 %."""
_LOG_STEP = math.log(STEP)
_LEAST = 1e-6


def bin_of(value: float) -> int:
    """The bin in which a value is counted."""
    return round(math.log(max(value, _LEAST)) / _LOG_STEP)


@dataclass
class _Second:
    number: int
    bins: Counter[int] = field(default_factory=Counter)
    total: float = 0.0


class Window:
    """Values by the second in which they came, the last 60 of them."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._begun = clock()
        self._seconds: deque[_Second] = deque()

    def add(self, value: float) -> None:
        """Count a value now."""
        number = int(self._clock())
        if not self._seconds or self._seconds[-1].number != number:
            self._forget()
            self._seconds.append(_Second(number))
        self._seconds[-1].bins[bin_of(value)] += 1
        self._seconds[-1].total += value

    def _forget(self) -> None:
        oldest = int(self._clock()) - WINDOW_SECONDS
        while self._seconds and self._seconds[0].number <= oldest:
            self._seconds.popleft()

    def count(self) -> int:
        """How many values there are."""
        self._forget()
        return sum(second.bins.total() for second in self._seconds)

    def total(self) -> float:
        """Their sum."""
        self._forget()
        return math.fsum(second.total for second in self._seconds)

    def by_second(self) -> list[float]:
        """Their sum in each second that is over, the oldest first."""
        self._forget()
        totals = {second.number: second.total for second in self._seconds}
        now = int(self._clock())
        return [totals.get(number, 0.0) for number in range(now - WINDOW_SECONDS + 1, now)]

    def rate(self) -> float:
        """Their sum for each second of the window; right after the start the window is as long as the time since."""
        return self.total() / min(max(self._clock() - self._begun, 1.0), WINDOW_SECONDS)

    def percentiles(self, wanted: Sequence[float]) -> list[float | None]:
        """The values below which these shares of all lie (0.5: the median); None while there is no value."""
        self._forget()
        bins: Counter[int] = Counter()
        for second in self._seconds:
            bins.update(second.bins)
        ranks = [max(1, math.ceil(share * bins.total())) for share in wanted]
        found: list[float | None] = [None] * len(ranks)
        passed = 0
        for number in sorted(bins):
            for place, rank in enumerate(ranks):
                if passed < rank <= passed + bins[number]:
                    found[place] = math.exp(number * _LOG_STEP)
            passed += bins[number]
        return found
