# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""What a step costs by its rows on this machine, and so how many guesses are worth their rows."""

from __future__ import annotations

import time
from collections.abc import Sequence

from .guesses import MOST
from .runner import Rows, Runner

_PAST = 64
_ROWS = 2 * (MOST + 1)
_TIMES = 3


class StepCosts:
    """`seconds`: of a step of one quantum of rows, of two, and so on; at least of two."""

    def __init__(self, quantum: int, seconds: Sequence[float]) -> None:
        self._quantum = quantum
        # One with more rows takes no less time; where it seemed to, something disturbed the other.
        self._seconds = [max(seconds[: count + 1]) for count in range(len(seconds))]

    def of(self, rows: int) -> float:
        """Beyond what was measured, each quantum costs what the last one did."""
        steps = -(-rows // self._quantum) - 1
        last = len(self._seconds) - 1
        beyond = max(0, steps - last) * (self._seconds[last] - self._seconds[last - 1])
        return self._seconds[min(steps, last)] + beyond

    def worth(self, rows: int, expected: float, chance: float, most: int) -> tuple[int, float]:
        """How many guesses, at most `most`, make the step the fastest in tokens a second, and how many of them will
        probably come true. The step has `rows` already, and will probably bring `expected` tokens."""
        best, best_gain, best_speed = 0, 0.0, expected / self.of(rows)
        gain = 0.0
        for length in range(1, most + 1):
            # A guess counts only where all before it came true.
            gain += chance**length
            speed = (expected + gain) / self.of(rows + length)
            if speed > best_speed:
                best, best_gain, best_speed = length, gain, speed
        return best, best_gain


def measure_costs(runner: Runner) -> StepCosts:
    """Takes a few dozen steps. The slots are empty afterwards."""
    counts = range(runner.quantum, max(_ROWS, 2 * runner.quantum) + 1, runner.quantum)
    past = min(_PAST, runner.plan.context - counts[-1])
    runner.pretend(0, past, seed=2)
    seconds = [min(_seconds(runner, past, count) for _ in range(_TIMES)) for count in counts]
    runner.keep(0, 0)
    return StepCosts(runner.quantum, seconds)


def _seconds(runner: Runner, past: int, rows: int) -> float:
    runner.keep(0, past)
    began = time.perf_counter()
    runner.step([Rows(0, [0] * rows, min(rows, MOST + 1))])
    return time.perf_counter() - began
