# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Llama's and Mistral's own ways to call tools, in any pieces, with marks that are tokens without a text."""

from __future__ import annotations

import json
from typing import Any

import pytest
from holdfast_inference import words
from holdfast_inference.server.chat_shapes import ChatChunks, Form, chat_object
from holdfast_inference.server.shapes import Identity
from holdfast_inference.server.tool_calls import MarkedCalls
from holdfast_inference.server.tool_families import LlamaCalls, MistralCalls, calls_reader
from holdfast_inference.server.tools import Tools
from hypothesis import given
from hypothesis import strategies as st

from .scripted_engine import LetterTokenizer
from .test_tool_calls import cut, read

NAMES = frozenset({"price", "aisle"})
MISTRAL = {
    "a list": 'Well. [TOOL_CALLS] [{"name": "price", "arguments": {"of": "lamp"}}, {"name": "aisle", "arguments": {}}]',
    "one by one": 'Well. [TOOL_CALLS]price[ARGS]{"of": "lamp"}[TOOL_CALLS]aisle[ARGS]{}',
    "with ids": 'Well. [TOOL_CALLS]price[CALL_ID]a1B2c3D4e[ARGS]{"of": "lamp"}[TOOL_CALLS]aisle[CALL_ID]x[ARGS]{}',
}
LLAMA = {
    "bare": '{"name": "price", "parameters": {"of": "lamp"}}; {"name": "aisle", "parameters": {}}',
    "after the tag": '<|python_tag|>{"name": "price", "parameters": {"of": "lamp"}};{"name": "aisle"}',
    "below each other": '\n{"name": "price", "arguments": {"of": "lamp"}}\n{"name": "aisle", "parameters": {}}\n',
}
WANTED = [("price", {"of": "lamp"}), ("aisle", {})]


def parsed(calls: list[tuple[str, str]]) -> list[tuple[str, Any]]:
    return [(name, json.loads(arguments)) for name, arguments in calls]


@pytest.mark.parametrize("way", MISTRAL)
@given(places=st.lists(st.integers(0, 120)))
def test_mistral_in_any_pieces(way: str, places: list[int]) -> None:
    text, calls = read(MistralCalls(), cut(MISTRAL[way], places))
    assert (text, parsed(calls)) == ("Well. ", WANTED)
    assert read(MistralCalls(several=False), cut(MISTRAL[way], places))[1] == calls[:1]


@pytest.mark.parametrize("way", LLAMA)
@given(places=st.lists(st.integers(0, 120)))
def test_llama_in_any_pieces(way: str, places: list[int]) -> None:
    text, calls = read(LlamaCalls(NAMES), cut(LLAMA[way], places))
    assert (text, parsed(calls)) == ("", WANTED)


@pytest.mark.parametrize(
    "text",
    [
        "The lamp costs 4.50.",
        '{"name": "unheard of", "parameters": {}}',
        '{"price": 4.5}',
        '{"name": "price", "parameters": {}} is how I would call it.',
        '<|python_tag|>search.call(query="lamp")',
        '{"name": "pri',
        "{" * 3000,
        "<|py",
        "",
    ],
)
def test_what_is_no_call_of_llama_stays_text(text: str) -> None:
    assert read(LlamaCalls(NAMES), list(text)) == (text, [])


@pytest.mark.parametrize(
    "text",
    [
        "The lamp costs 4.50.",
        "[TOOL_CALLS] no list",
        '[TOOL_CALLS] [{"name": 3}]',
        '[TOOL_CALLS] [{"name": "price", "arguments": {}}][TOOL_CALLS] and then?',
        "[TOOL_CALLS]price[ARGS]4",
        "[TOOL_CALLS]" + "[" * 3000,
        "a [TOOL_",
    ],
)
def test_what_is_no_call_of_mistral_stays_text(text: str) -> None:
    assert read(MistralCalls(), list(text)) == (text, [])


def test_a_llama_that_was_taught_marks_is_read_by_them() -> None:
    text = 'So: <tool_call>{"name": "price", "arguments": {}}</tool_call>'
    assert read(LlamaCalls(NAMES), list(text)) == ("So: ", [("price", "{}")])


def test_text_is_not_held_back_by_llama_once_it_is_no_object() -> None:
    reader = LlamaCalls(NAMES)
    assert [list(reader.feed(piece)) != [] for piece in ("The ", "lamp")] == [True, True]


class MarkedTokenizer(LetterTokenizer):
    """Letters, and marks without a text, as the families' own tokenizers have them."""

    def __init__(self, *marks: str) -> None:
        self._marks = {mark: 0x110000 + number for number, mark in enumerate(marks)}

    def id_of(self, token: str) -> int | None:
        return self._marks.get(token) or super().id_of(token)

    def events(self, *parts: str) -> list[words.Event]:
        ids = [part for text in parts for part in ([text] if text in self._marks else list(text))]
        events: list[words.Event] = [
            words.Token(index, self._marks.get(part) or ord(part), "" if part in self._marks else part)
            for index, part in enumerate(ids)
        ]
        return [*events, words.Finish("stop", "", words.Usage(1, len(events)))]


def form(tokenizer: words.Tokenizer, use: Any = "may") -> Form:
    shown = tuple({"type": "function", "function": {"name": name}} for name in sorted(NAMES))
    return Form(Identity("chatcmpl", "tiny", lambda: "f"), tokenizer, Tools(use, shown), 1, False, False)


def test_silent_marks_are_seen_by_their_ids() -> None:
    tokenizer = MarkedTokenizer("[TOOL_CALLS]", "[ARGS]")
    events = tokenizer.events("Well. ", "[TOOL_CALLS]", "price", "[ARGS]", '{"of": "lamp"}')
    choice = chat_object(form(tokenizer), ((0, event) for event in events))["choices"][0]
    call = choice["message"]["tool_calls"][0]
    assert (choice["finish_reason"], choice["message"]["content"]) == ("tool_calls", "Well. ")
    assert call["function"] == {"name": "price", "arguments": '{"of": "lamp"}'}
    assert len(call["id"]) == 9
    assert call["id"].isalnum()
    chunks = ChatChunks(form(tokenizer))
    told = [chunk["choices"][0] for event in events for chunk in chunks.of(0, event)]
    deltas = [part["delta"]["tool_calls"][0] for part in told if "tool_calls" in part["delta"]]
    assert deltas[0]["function"]["name"] == "price"
    assert told[-1]["finish_reason"] == "tool_calls"


def test_a_forced_call_of_mistral_has_an_id_that_its_template_takes() -> None:
    tokenizer = MarkedTokenizer("[TOOL_CALLS]")
    events = tokenizer.events('{"name": "price", "arguments": {}}')
    call = chat_object(form(tokenizer, "must"), ((0, event) for event in events))["choices"][0]["message"]["tool_calls"]
    assert len(call[0]["id"]) == 9


def test_where_no_tool_is_told_of_nothing_is_a_call() -> None:
    tokenizer = MarkedTokenizer("<|python_tag|>")
    events = tokenizer.events('{"name": "price", "parameters": {}}')
    message = chat_object(form(tokenizer, "none"), ((0, event) for event in events))["choices"][0]["message"]
    assert message["content"] == '{"name": "price", "parameters": {}}'
    assert "tool_calls" not in message


def test_the_family_is_told_by_its_marks() -> None:
    kinds = {
        mark: type(calls_reader({1: mark} if mark else {}, NAMES, several=True))
        for mark in ("", "[TOOL_CALLS]", "<|python_tag|>")
    }
    assert kinds == {"": MarkedCalls, "[TOOL_CALLS]": MistralCalls, "<|python_tag|>": LlamaCalls}
