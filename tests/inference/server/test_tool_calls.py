# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Calls of tools are found whatever way an answer is cut into pieces, and nothing that was drawn is lost."""

from __future__ import annotations

import json
from collections.abc import Iterable

import pytest
from holdfast_inference.server.chat_shapes import PieceReader
from holdfast_inference.server.tool_calls import BareCall, CallArguments, CallBegins, MarkedCalls, Piece, Said
from hypothesis import given
from hypothesis import strategies as st

Told = tuple[str, list[tuple[str, str]]]


def told(pieces: Iterable[Piece]) -> Told:
    """The text and the calls, with what a reader of a stream insists on: a call begins before its arguments."""
    text, calls = "", list[tuple[str, str]]()
    for piece in pieces:
        if isinstance(piece, Said):
            assert piece.text
            text += piece.text
        elif isinstance(piece, CallBegins):
            assert piece.index == len(calls)
            calls.append((piece.name, ""))
        elif isinstance(piece, CallArguments):
            name, before = calls[piece.index]
            calls[piece.index] = (name, before + piece.text)
    return text, calls


def read(reader: PieceReader, parts: Iterable[str]) -> Told:
    return told([piece for part in parts for piece in reader.feed(part)] + list(reader.end()))


def cut(text: str, places: Iterable[int]) -> list[str]:
    ends = sorted({min(place, len(text)) for place in places} | {len(text)})
    begins = [0, *ends[:-1]]
    return [text[begin:end] for begin, end in zip(begins, ends, strict=True)]


TWO = (
    'Let me look. <tool_call>\n{"name": "price", "arguments": {"of": "lamp"}}\n</tool_call>'
    '<tool_call>{"name": "aisle", "arguments": "{\\"of\\": 1}"}</tool_call> done <b'
)


@given(st.lists(st.integers(0, len(TWO))))
def test_marked_calls_in_any_pieces(places: list[int]) -> None:
    text, calls = read(MarkedCalls(), cut(TWO, places))
    assert text == "Let me look.  done <b"
    assert [(name, json.loads(arguments)) for name, arguments in calls] == [
        ("price", {"of": "lamp"}),
        ("aisle", {"of": 1}),
    ]


def test_only_one_call_where_only_one_is_wanted() -> None:
    assert [name for name, _ in read(MarkedCalls(several=False), [TWO])[1]] == ["price"]


@pytest.mark.parametrize(
    "text",
    [
        "<tool_call>no json</tool_call>",
        "<tool_call>[1]</tool_call>",
        '<tool_call>{"name": 3}</tool_call>',
        "a <tool_call>{",
        "a <tool_cal",
        "<tool_call></tool_call>",
        "<tool_call>" + "[" * 5000 + "</tool_call>",
    ],
)
def test_what_is_no_call_stays_text(text: str) -> None:
    assert read(MarkedCalls(), list(text)) == (text, [])


def test_a_last_mark_may_be_missing() -> None:
    assert read(MarkedCalls(), ['<tool_call>{"name": "a", "arguments": {}}']) == ("", [("a", "{}")])


BARE = '{"name":"price","arguments":{"of":"a \\"}{ lamp","n":[1,{"b":"]"}]}}'


@given(st.lists(st.integers(0, len(BARE))))
def test_a_bare_call_in_any_pieces(places: list[int]) -> None:
    text, calls = read(BareCall(), cut(BARE, places))
    assert (text, [name for name, _ in calls]) == ("", ["price"])
    assert json.loads(calls[0][1]) == json.loads(BARE)["arguments"]


def test_arguments_come_as_they_are_drawn() -> None:
    reader = BareCall()
    pieces = [list(reader.feed(part)) for part in ('{"name": "a", "arguments": ', '{"x": ', "1}}")]
    assert pieces[0] == []
    assert [type(piece) for piece in pieces[1]] == [CallBegins, CallArguments]
    assert pieces[2] == [CallArguments(0, "1}")]


def test_a_bare_call_that_was_cut_off_before_its_name_is_text() -> None:
    assert read(BareCall(), ['{"na', 'me": "pri']) == ('{"name": "pri', [])
