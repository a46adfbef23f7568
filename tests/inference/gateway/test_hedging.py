# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The budget of second attempts."""

from __future__ import annotations

import random

from holdfast_inference.gateway.hedging import SAMPLES_LEAST, SAVED_MOST, Hedging


def test_a_first_token_is_late_after_most_others_would_have_come() -> None:
    hedging = Hedging(0.05, 0.01)
    for number in range(SAMPLES_LEAST - 1):
        hedging.note_first_token(number / 100)
    assert hedging.delay() is None
    for number in range(100):
        hedging.note_first_token(number / 100)
    assert 0.85 < (hedging.delay() or 0) < 0.99
    fast = Hedging(0.05, 0.05)
    for _ in range(SAMPLES_LEAST):
        fast.note_first_token(0.001)
    assert fast.delay() == 0.05


def test_it_never_costs_more_than_its_share() -> None:
    hedging, drawn = Hedging(0.05, 0.01), random.Random(1)
    for _ in range(5000):
        hedging.note_served(drawn.randrange(1, 500))
        hedging.spend(drawn.randrange(1, 500))
        assert hedging.spent <= 0.05 * hedging.served
    assert hedging.spent > 0.04 * hedging.served


def test_an_idle_night_does_not_pay_for_a_morning() -> None:
    hedging = Hedging(0.05, 0.01)
    hedging.note_served(100_000_000)
    assert not hedging.spend(SAVED_MOST + 1)
    assert hedging.spend(SAVED_MOST)
    assert not hedging.spend(1)
