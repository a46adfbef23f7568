# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""Which drawn tokens the text of an answer is made of, and which part of it each one is."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from holdfast_inference import words
from holdfast_inference.engine.text import TextStream


@dataclass(frozen=True)
class Spelled:
    """A drawn token and its part of the text; that of a character of several tokens is told with the last of them."""

    token: words.Token
    text: str
    offset: int
    """How many characters of the text there are before it."""


class Spelling:
    """Gives the tokens of an answer as soon as their text was told, and none whose text never is: the token that ends
    it, and what a stop word takes away. A token that the text ends in is cut, so that the parts make the text."""

    def __init__(self, tokenizer: words.Tokenizer) -> None:
        self._stream = TextStream(tokenizer)
        self._waiting: deque[tuple[words.Token, str]] = deque()
        self._halves: list[words.Token] = []
        self._told = 0
        self._given = 0

    def of(self, event: words.Event) -> Iterator[Spelled]:
        """The tokens whose text is told with this event."""
        self._told += len(event.text)
        if isinstance(event, words.Token):
            self._halves.append(event)
            self._spell(self._stream.push(event.id))
        else:
            self._spell(self._stream.finish())
        while self._waiting and self._given < self._told:
            token, text = self._waiting[0]
            left = self._told - self._given
            if len(text) > left and isinstance(event, words.Token):
                return
            self._waiting.popleft()
            yield Spelled(token, text[:left], self._given)
            self._given += len(text[:left])

    def _spell(self, text: str) -> None:
        if text:
            *halves, last = self._halves
            self._waiting.extend((half, "") for half in halves)
            self._waiting.append((last, text))
            self._halves.clear()
