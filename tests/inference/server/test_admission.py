# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Admission by tokens."""

from __future__ import annotations

import pytest
from holdfast_inference.server.admission import Gate
from holdfast_inference.server.errors import ApiError
from holdfast_inference.server.settings import Admission


def gate(speed: float = 100.0, tokens: int = 1000, tokens_per_key: int = 600) -> Gate:
    return Gate(Admission(tokens, tokens_per_key, assumed_answer_tokens=50), lambda: speed)


def test_what_does_not_fit_is_told_when_to_come_back() -> None:
    entry = gate()
    entry.enter("a", 500)
    entry.enter("b", 400)
    with pytest.raises(ApiError) as caught:
        entry.enter("c", 800)
    assert (caught.value.status, caught.value.headers()["Retry-After"]) == (429, "7")
    assert entry.refused == 1
    assert entry.tokens == 900


@pytest.mark.parametrize(("speed", "seconds"), [(0.0, "30"), (1e9, "1"), (0.5, "30")])
def test_the_time_stays_within_what_clients_accept(speed: float, seconds: str) -> None:
    entry = gate(speed)
    entry.enter("a", 500)
    with pytest.raises(ApiError) as caught:
        entry.enter("b", 900)
    assert caught.value.headers()["Retry-After"] == seconds


def test_one_key_leaves_room_for_others() -> None:
    entry = gate()
    entry.enter("a", 500)
    with pytest.raises(ApiError):
        entry.enter("a", 200)
    entry.enter("b", 200)


def test_what_is_alone_always_fits() -> None:
    entry = gate()
    ticket = entry.enter("a", 5000)
    with pytest.raises(ApiError):
        entry.enter("b", 1)
    ticket.give_back()
    entry.enter("b", 1)


def test_a_ticket_is_given_back_once() -> None:
    entry = gate()
    first, second = entry.enter("a", 100), entry.enter("a", 200)
    first.give_back()
    first.give_back()
    assert entry.tokens == 200
    second.give_back()
    assert entry.tokens == 0


def test_answers_count_what_is_assumed_of_them() -> None:
    assert gate().cost(10, 4000, 2) == 110
    assert gate().cost(10, 7, 1) == 17
