# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""Each family's own way to write a call of a tool, and how to tell which way a model was taught.

Qwen and many others write `<tool_call>{"name": …, "arguments": …}</tool_call>` anywhere in the text (`MarkedCalls`).
Mistral writes `[TOOL_CALLS]` and then a list of calls, or later `[TOOL_CALLS]name[ARGS]{…}` for each. Llama answers
with nothing but `{"name": …, "parameters": …}`, several separated by semicolons, at times after `<|python_tag|>`.

The marks of Mistral and Llama are tokens that stand for no text, so an answer shows them by their ids only.
"""

from __future__ import annotations

import json
import re
import secrets
import string
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from holdfast_inference import words
from holdfast_inference.server.tool_calls import CallArguments, CallBegins, MarkedCalls, Piece, Said, overlap

LIST_OPENS, NAME_ENDS, ID_OPENS = "[TOOL_CALLS]", "[ARGS]", "[CALL_ID]"
PYTHON_TAG = "<|python_tag|>"
_MARKS = (LIST_OPENS, NAME_ENDS, ID_OPENS, PYTHON_TAG)
_NAMED = re.compile(r"\s*([A-Za-z0-9_.-]{1,64})\s*(?:\[CALL_ID\]\s*\w+\s*)?\[ARGS\]\s*")
_JSON = json.JSONDecoder()

Call = tuple[str, Any]
"""A tool's name, and what it is called with."""


def marks_of(tokenizer: words.Tokenizer) -> Mapping[int, str]:
    """The tokens of a model that mark calls and may be silent in its text."""
    known = ((tokenizer.id_of(mark), mark) for mark in _MARKS)
    return {token: mark for token, mark in known if token is not None}


def with_marks(event: words.Event, marks: Mapping[int, str]) -> str:
    """The text of an event, and the mark that it is where that is silent."""
    mark = marks.get(event.id, "") if isinstance(event, words.Token) else ""
    return event.text if mark in event.text else event.text + mark


def short_id() -> str:
    """An id of nine letters and digits: Mistral's templates take no other when the call comes back in a chat."""
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(9))


def calls_reader(
    marks: Mapping[int, str], names: Collection[str], *, several: bool
) -> MistralCalls | LlamaCalls | MarkedCalls:
    """The reader for a model with these marks, where the tools of these names may be called."""
    if LIST_OPENS in marks.values():
        return MistralCalls(several=several)
    return LlamaCalls(names, several=several) if PYTHON_TAG in marks.values() else MarkedCalls(several=several)


class _Late:
    """Calls that are only certain once they are whole. What turns out to be none is handed out as text."""

    def __init__(self, *, several: bool) -> None:
        self._several = several
        self.calls = 0

    def _told(self, found: list[Call], held: str, new_id: bool) -> Iterator[Piece]:
        if not found:
            yield from [Said(held)] if held else []
        for name, arguments in found if self._several else found[:1]:
            index, self.calls = self.calls, self.calls + 1
            yield CallBegins(index, name, short_id()) if new_id else CallBegins(index, name)
            text = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
            yield CallArguments(index, text)


class MistralCalls(_Late):
    """What follows the first mark is calls, to the end of the answer."""

    def __init__(self, *, several: bool = True) -> None:
        super().__init__(several=several)
        self._held = ""
        self._within = False

    def feed(self, text: str) -> Iterator[Piece]:
        """What a further piece of the answer brings."""
        self._held += text
        if self._within:
            return
        before, found, after = self._held.partition(LIST_OPENS)
        if found:
            self._within, self._held = True, after
            ready = before
        else:
            keep = overlap(self._held, LIST_OPENS)
            ready, self._held = self._held[: len(self._held) - keep], self._held[len(self._held) - keep :]
        if ready:
            yield Said(ready)

    def end(self) -> Iterator[Piece]:
        """The calls, now that they are whole."""
        held, self._held = self._held, ""
        if not self._within:
            yield from [Said(held)] if held else []
            return
        self._within = False
        found: list[Call] = []
        for part in held.split(LIST_OPENS):
            calls = _listed(part) or _named(part)
            if not calls:
                # Text between marks would be lost if the others were called.
                found = []
                break
            found += calls
        yield from self._told(found, LIST_OPENS + held, new_id=True)


def _listed(text: str) -> list[Call]:
    try:
        entries = json.loads(text)
    except (ValueError, RecursionError):
        return []
    calls = [_call(entry, ("arguments",)) for entry in entries] if isinstance(entries, list) else [None]
    return [call for call in calls if call] if all(calls) else []


def _named(text: str) -> list[Call]:
    found = _NAMED.match(text)
    try:
        arguments = json.loads(text[found.end() :]) if found else None
    except (ValueError, RecursionError):
        return []
    return [(found[1], arguments)] if found and isinstance(arguments, dict) else []


class LlamaCalls(_Late):
    """An answer that begins like an object is held until it is whole: it is calls where the objects name tools that
    there are, and text otherwise. An answer that begins otherwise may still hold marked calls."""

    def __init__(self, names: Collection[str], *, several: bool = True) -> None:
        super().__init__(several=several)
        self._names = names
        self._held = ""
        self._marked: MarkedCalls | None = None

    def feed(self, text: str) -> Iterator[Piece]:
        """What a further piece of the answer brings."""
        if self._marked is None:
            self._held += text
            begins = self._held.lstrip()
            if not begins or begins[0] == "{" or PYTHON_TAG.startswith(begins[: len(PYTHON_TAG)]):
                return
            self._marked = MarkedCalls(several=self._several)
            text, self._held = self._held, ""
        yield from self._marked.feed(text)
        self.calls = self._marked.calls

    def end(self) -> Iterator[Piece]:
        """The calls, or what was held back."""
        if self._marked is not None:
            yield from self._marked.end()
            self.calls = self._marked.calls
            return
        held, self._held = self._held, ""
        yield from self._told(self._objects(held.strip().removeprefix(PYTHON_TAG)), held, new_id=False)

    def _objects(self, text: str) -> list[Call]:
        found: list[Call] = []
        text = text.strip()
        while text:
            try:
                entry, end = _JSON.raw_decode(text)
            except (ValueError, RecursionError):
                return []
            call = _call(entry, ("parameters", "arguments"))
            if call is None or call[0] not in self._names:
                return []
            found.append(call)
            text = text[end:].lstrip().removeprefix(";").lstrip()
        return found


def _call(entry: Any, members: tuple[str, ...]) -> Call | None:
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        return None
    arguments: Any = next((entry[member] for member in members if member in entry), {})
    return (entry["name"], arguments) if isinstance(arguments, dict | str) else None
