# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Completion requests, and the shapes that several answers to several prompts take."""

from __future__ import annotations

from typing import Any

import pytest
from holdfast_inference import words
from holdfast_inference.server.asked import requests_of
from holdfast_inference.server.completions import CompletionAsked, read_completion
from holdfast_inference.server.errors import ApiError
from holdfast_inference.server.fields import Fields
from holdfast_inference.server.keys import ANONYMOUS
from holdfast_inference.server.settings import Limits
from holdfast_inference.server.shapes import UsageSum

FACTS = words.ModelFacts("m", "d", "f", 32, 100, (1,), 4, 2, 1, True, 0.0)


def completion(**members: Any) -> CompletionAsked:
    return read_completion(Fields({"model": "m", "prompt": "a", **members}), Limits())


@pytest.mark.parametrize(
    ("prompt", "read"),
    [
        ("a", ["a"]),
        (["a", "b"], ["a", "b"]),
        ([1, 2], [(1, 2)]),
        ([[1], [2, 3]], [(1,), (2, 3)]),
        ("", [""]),
    ],
)
def test_the_forms_of_a_prompt(prompt: Any, read: list[Any]) -> None:
    assert completion(prompt=prompt).prompts == read


@pytest.mark.parametrize("prompt", [None, [], [[]], [1, "a"], {}, 3, [-1], [1.5]])
def test_what_is_no_prompt(prompt: Any) -> None:
    with pytest.raises(ApiError) as caught:
        completion(prompt=prompt)
    assert (caught.value.status, caught.value.param) == (400, "prompt")


@pytest.mark.parametrize(
    ("members", "status"),
    [
        ({"suffix": "x"}, 422),
        ({"best_of": 3}, 422),
        ({"echo": True, "logprobs": 1}, 422),
        ({"logprobs": 6}, 400),
        ({"prompt": ["a", "b", "c"], "n": 3}, 400),
    ],
)
def test_what_is_not_done_is_said(members: dict[str, Any], status: int) -> None:
    with pytest.raises(ApiError) as caught:
        completion(**members)
    assert caught.value.status == status


def test_the_first_choice_is_the_answer_that_n_of_one_gives() -> None:
    one = requests_of(completion(seed=7).asked, [[1]], FACTS, ANONYMOUS, 1.0)
    three = requests_of(completion(seed=7, n=3).asked, [[1]], FACTS, ANONYMOUS, 1.0)
    again = requests_of(completion(seed=7, n=3).asked, [[1]], FACTS, ANONYMOUS, 1.0)
    assert three[0].sampling == one[0].sampling
    assert [request.sampling.seed for request in three] == [request.sampling.seed for request in again]
    assert len({request.sampling.seed for request in three}) == 3
    assert len({request.id for request in three}) == 3


def test_what_does_not_fit_is_refused_and_the_default_is_what_fits() -> None:
    asked = completion(max_tokens=30).asked
    assert requests_of(asked, [[1, 2]], FACTS, ANONYMOUS, 1.0)[0].max_tokens == 30
    for prompt, wanted in (([1, 2, 3], asked), ([1] * 32, completion(max_tokens=1).asked)):
        with pytest.raises(ApiError) as caught:
            requests_of(wanted, [prompt], FACTS, ANONYMOUS, 1.0)
        assert caught.value.code == "context_length_exceeded"


def test_a_prompt_counts_once_however_many_answers_it_has() -> None:
    usage = UsageSum(2)
    for number in range(4):
        usage.add(number, words.Usage(prompt=10 + number, completion=3, cached=number))
    assert usage.shape() == {
        "prompt_tokens": 22,
        "completion_tokens": 12,
        "total_tokens": 34,
        "prompt_tokens_details": {"cached_tokens": 2},
    }
