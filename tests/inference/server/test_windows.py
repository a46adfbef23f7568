# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Percentiles over the last 60 seconds, against the exact ones."""

from __future__ import annotations

import math
import random

import pytest
from holdfast_inference.server.windows import WINDOW_SECONDS, Window


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("seed", range(5))
def test_percentiles_are_within_one_per_cent(seed: int) -> None:
    drawn = random.Random(seed)
    clock = Clock()
    window = Window(clock)
    values = [drawn.lognormvariate(-3, 2) for _ in range(3000)]
    for value in values:
        window.add(value)
        clock.now += 0.01
    exact = sorted(values)
    for share, told in zip((0.5, 0.95, 0.99), window.percentiles([0.5, 0.95, 0.99]), strict=True):
        assert told == pytest.approx(exact[math.ceil(share * len(exact)) - 1], rel=0.0101)
    assert window.count() == 3000
    assert window.total() == pytest.approx(sum(values))


def test_what_is_older_than_a_minute_is_forgotten() -> None:
    clock = Clock()
    window = Window(clock)
    window.add(1.0)
    clock.now += 30
    window.add(2.0)
    assert window.count() == 2
    clock.now += 31
    assert (window.count(), window.total()) == (1, 2.0)
    clock.now += 60
    assert window.percentiles([0.5]) == [None]


def test_the_rate_of_a_young_window_is_over_its_own_time() -> None:
    clock = Clock()
    window = Window(clock)
    clock.now += 10
    window.add(100)
    assert window.rate() == pytest.approx(10)
    clock.now += 50
    window.add(500)
    clock.now += 40
    assert window.rate() == pytest.approx(500 / 60)


def test_a_value_of_nothing_is_counted() -> None:
    window = Window()
    window.add(0.0)
    assert window.percentiles([1.0])[0] == pytest.approx(0.0, abs=1e-5)


def test_each_second_that_is_over_is_told_by_itself() -> None:
    clock = Clock()
    window = Window(clock)
    for second, values in enumerate([[1.0, 2.0], [], [4.0]]):
        clock.now = 1000.5 + second
        for value in values:
            window.add(value)
    assert window.by_second()[-2:] == [3.0, 0.0]
    clock.now += 1
    assert window.by_second()[-3:] == [3.0, 0.0, 4.0]
    assert len(window.by_second()) == WINDOW_SECONDS - 1
    clock.now += WINDOW_SECONDS
    assert set(window.by_second()) == {0.0}
