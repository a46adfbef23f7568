# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""W3C trace context: valid headers are continued, others begin anew."""

from __future__ import annotations

import pytest
from holdfast_inference.server.trace import trace_of

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


def test_a_valid_header_is_continued() -> None:
    trace = trace_of(f"00-{TRACE}-{PARENT}-01")
    assert (trace.trace_id, trace.parent_id, trace.sampled) == (TRACE, PARENT, True)
    assert trace.span_id != PARENT
    assert trace.header == f"00-{TRACE}-{trace.span_id}-01"


def test_what_others_of_the_trace_say_is_passed_on_with_it() -> None:
    assert trace_of(f"00-{TRACE}-{PARENT}-01", state="shop=1,till=2").state == "shop=1,till=2"
    assert trace_of("rubbish", state="shop=1").state == "", "it belongs to a trace that is not known"
    for wrong in ("x" * 513, "caf\xe9=1", "a\x07"):
        assert trace_of(f"00-{TRACE}-{PARENT}-01", state=wrong).state == ""


def test_a_later_version_may_carry_more() -> None:
    assert trace_of(f"01-{TRACE}-{PARENT}-00-more").trace_id == TRACE


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "rubbish",
        f"00-{TRACE}-{PARENT}-01-more",
        f"ff-{TRACE}-{PARENT}-01",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE.upper()}-{PARENT}-01",
    ],
)
def test_an_invalid_header_begins_a_new_trace(header: str | None) -> None:
    trace = trace_of(header)
    assert trace.trace_id != TRACE
    assert len(trace.trace_id) == 32
    assert trace.parent_id is None
