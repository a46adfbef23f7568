# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""Finding calls of tools in an answer while it is being drawn, whatever way it is cut into pieces."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

OPENS, CLOSES = "<tool_call>", "</tool_call>"
_BARE_BEGINS = re.compile(r'\s*\{\s*"name"\s*:\s*("(?:[^"\\]|\\.)*")\s*,\s*"arguments"\s*:\s*(?=\S)')


@dataclass(frozen=True)
class Said:
    """Text for the reader."""

    text: str


def call_id() -> str:
    """As OpenAI's look."""
    return f"call_{uuid.uuid4().hex[:24]}"


@dataclass(frozen=True)
class CallBegins:
    """A call of a tool; what it is called with follows."""

    index: int
    name: str
    id: str = field(default_factory=call_id)


@dataclass(frozen=True)
class CallArguments:
    """A piece of a call's arguments, as JSON text."""

    index: int
    text: str


Piece = Said | CallBegins | CallArguments


class MarkedCalls:
    """Calls between marks in a text, as most models of today were taught to write them. What stands between marks and
    is no call is handed out as text, marks included: nothing that was drawn is lost."""

    def __init__(self, *, several: bool = True) -> None:
        self._several = several
        self._held = ""
        self._within = False
        self._calls = 0

    def feed(self, text: str) -> Iterator[Piece]:
        """What a further piece of the answer brings."""
        self._held += text
        while True:
            mark = CLOSES if self._within else OPENS
            before, found, after = self._held.partition(mark)
            if not found:
                break
            self._held = after
            yield from self._call(before) if self._within else _said(before)
            self._within = not self._within
        if not self._within:
            safe = len(self._held) - overlap(self._held, OPENS)
            ready, self._held = self._held[:safe], self._held[safe:]
            yield from _said(ready)

    def end(self) -> Iterator[Piece]:
        """What was held back when the answer ended. Some models leave out the last closing mark."""
        rest, self._held = self._held, ""
        if self._within:
            self._within = False
            yield from self._call(rest, closed=False)
        else:
            yield from _said(rest)

    @property
    def calls(self) -> int:
        """How many calls there were so far."""
        return self._calls

    def _call(self, block: str, *, closed: bool = True) -> Iterator[Piece]:
        try:
            call = json.loads(block)
            name, arguments = call["name"], call.get("arguments", call.get("parameters", {}))
        except (ValueError, RecursionError, TypeError, KeyError, AttributeError):
            name, arguments = None, None
        if not isinstance(name, str):
            yield Said(OPENS + block + (CLOSES if closed else ""))
            return
        if self._calls and not self._several:
            return
        index, self._calls = self._calls, self._calls + 1
        yield CallBegins(index, name)
        yield CallArguments(
            index, arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False)
        )


def _said(text: str) -> Iterator[Said]:
    if text:
        yield Said(text)


def overlap(text: str, mark: str) -> int:
    """How much of the text's end may be the beginning of a mark."""
    return next((size for size in range(min(len(mark) - 1, len(text)), 0, -1) if text.endswith(mark[:size])), 0)


class BareCall:
    """An answer that is one call as a whole, because a grammar says so: its arguments are handed out as they come."""

    def __init__(self, make_id: Callable[[], str] = call_id) -> None:
        self._make_id = make_id
        self._held = ""
        self._begun = False
        self._ended = False
        self._depth = 0
        self._in_string = False
        self._escaped = False

    @property
    def calls(self) -> int:
        """One once its name is known."""
        return int(self._begun)

    def feed(self, text: str) -> Iterator[Piece]:
        """What a further piece of the answer brings."""
        if not self._begun:
            self._held += text
            found = _BARE_BEGINS.match(self._held)
            if not found:
                return
            self._begun = True
            yield CallBegins(0, json.loads(found[1]), self._make_id())
            text, self._held = self._held[found.end() :], ""
        arguments = "".join(character for character in text if self._belongs(character))
        if arguments:
            yield CallArguments(0, arguments)

    def end(self) -> Iterator[Piece]:
        """An answer that was cut off before it had a name is text."""
        rest, self._held = self._held, ""
        yield from _said(rest)

    def _belongs(self, character: str) -> bool:
        """Whether a character is part of the arguments' object; what follows it closes the call."""
        if self._ended:
            return False
        if self._in_string:
            if self._escaped:
                self._escaped = False
            elif character == "\\":
                self._escaped = True
            elif character == '"':
                self._in_string = False
        elif character == '"':
            self._in_string = True
        elif character in "{[":
            self._depth += 1
        elif character in "}]":
            self._depth -= 1
            self._ended = self._depth <= 0
            return self._depth >= 0
        return True
