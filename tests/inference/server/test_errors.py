# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Errors have one shape, and tell clients when it helps to come back."""

from __future__ import annotations

import pytest
from holdfast_inference import words
from holdfast_inference.server.errors import ApiError, retry_after_seconds


@pytest.mark.parametrize(
    ("wanted", "told"), [(None, 1), (0.0, 1), (0.2, 1), (1.2, 2), (29.5, 30), (1e9, 30), (float("nan"), 1), (-5, 1)]
)
def test_retry_after_is_a_whole_number_that_clients_accept(wanted: float | None, told: int) -> None:
    assert retry_after_seconds(wanted) == told


@pytest.mark.parametrize(
    ("refusal", "status"),
    [
        ("unknown_model", 404),
        ("context_length_exceeded", 400),
        ("invalid_value", 400),
        ("invalid_grammar", 422),
        ("queue_full", 429),
        ("draining", 503),
        ("deadline_exceeded", 408),
        ("duplicate_request", 409),
    ],
)
def test_each_refusal_of_the_engine_has_its_status(refusal: words.RefusalCode, status: int) -> None:
    error = ApiError.of(words.Refused(refusal, "Because.", retry_after=7.2, param="p"))
    assert error.status == status
    assert set(error.body()["error"]) == {"message", "type", "param", "code"}
    assert error.body()["error"]["message"] == "Because."


def test_only_what_may_pass_says_when_to_come_back() -> None:
    assert ApiError(429, "queue_full", "Full.", retry_after=7.2).headers()["Retry-After"] == "8"
    assert ApiError(503, "draining", "Draining.").headers()["Retry-After"] == "1"
    assert "Retry-After" not in ApiError(400, "invalid_value", "Wrong.").headers()


def test_a_deadline_that_passed_is_not_tried_again() -> None:
    assert ApiError(408, "deadline_exceeded", "Late.").headers()["x-should-retry"] == "false"


def test_an_unauthorised_client_is_told_how() -> None:
    assert ApiError(401, "invalid_api_key", "Who?").headers()["WWW-Authenticate"] == "Bearer"
