# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each wrong value is a 400 that names its field."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from holdfast_inference.server.errors import ApiError
from holdfast_inference.server.fields import Fields


def refused(read: Callable[[Fields], Any], members: dict[str, Any]) -> ApiError:
    with pytest.raises(ApiError) as caught:
        read(Fields(members))
    assert caught.value.status == 400
    return caught.value


@pytest.mark.parametrize("value", ["0.7", True, [], {}, 2.1, -0.1, 10**400, -(10**400)])
def test_a_number_is_a_number_within_its_bounds(value: Any) -> None:
    assert refused(lambda fields: fields.number("t", 1.0, 0.0, 2.0), {"t": value}).param == "t"


@pytest.mark.parametrize("value", ["1", True, 1.5, 0, 11, 1e300])
def test_an_integer_is_whole_and_within_its_bounds(value: Any) -> None:
    assert refused(lambda fields: fields.integer("n", 1, 10), {"n": value}).param == "n"


def test_a_whole_number_with_a_point_is_an_integer() -> None:
    assert Fields({"n": 3.0}).integer("n", 1, 10) == 3


def test_null_counts_as_absent() -> None:
    fields = Fields({"t": None, "n": None, "b": None, "s": None})
    assert fields.number("t", 1.0, 0, 2) == 1.0
    assert fields.integer("n", 1, 2) is None
    assert fields.boolean("b", True) is True
    assert fields.text("s") is None


def test_what_nobody_asked_for_is_unknown() -> None:
    fields = Fields({"a": 1, "b": 2, "c": 3})
    fields.raw("a")
    fields.known("b")
    assert fields.unknown() == ["c"]


def test_inner_fields_are_named_in_full() -> None:
    inner = Fields({"a": {"b": 1}}).member("a")
    assert inner is not None
    with pytest.raises(ApiError) as caught:
        inner.text("b")
    assert caught.value.param == "a.b"


@pytest.mark.parametrize("value", [[-1], [2**31], [True], ["1"], "12", [1.5], [float(2**31)], [None]])
def test_ids_are_small_whole_numbers(value: Any) -> None:
    assert refused(lambda fields: fields.ids("ids"), {"ids": value}).code == "invalid_type"


def test_whole_numbers_with_a_point_are_ids_too() -> None:
    assert Fields({"ids": [1, 2.0]}).ids("ids") == (1, 2)
