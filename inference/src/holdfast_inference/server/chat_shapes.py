# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""A chat's answers in OpenAI's shapes: the chunks of a stream, and the whole object."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

from holdfast_inference import words
from holdfast_inference.server.shapes import Identity, UsageSum, chat_logprobs
from holdfast_inference.server.spelling import Spelled, Spelling
from holdfast_inference.server.tool_calls import BareCall, CallArguments, CallBegins, Piece, Said, call_id
from holdfast_inference.server.tool_families import LIST_OPENS, calls_reader, marks_of, short_id, with_marks
from holdfast_inference.server.tools import Tools


class PieceReader(Protocol):
    """Tells text from calls of tools."""

    @property
    def calls(self) -> int: ...

    def feed(self, text: str) -> Iterator[Piece]: ...

    def end(self) -> Iterator[Piece]: ...


class PlainText:
    """Where there are no tools, all is text."""

    calls = 0

    def feed(self, text: str) -> Iterator[Piece]:
        """The text, if there is any."""
        if text:
            yield Said(text)

    def end(self) -> Iterator[Piece]:
        """Nothing is ever held back."""
        return iter(())


@dataclass(frozen=True)
class Form:
    """How the answers to one call are told."""

    identity: Identity
    tokenizer: words.Tokenizer
    tools: Tools
    choices: int
    logprobs: bool
    include_usage: bool

    @cached_property
    def marks(self) -> Mapping[int, str]:
        """The model's tokens that mark calls of tools; none where there are no tools."""
        return {} if self.tools.use == "none" else marks_of(self.tokenizer)

    def reader(self) -> PieceReader:
        """How to read an answer in which tools take part like that."""
        if self.tools.use == "none":
            return PlainText()
        if self.tools.use == "must":
            return BareCall(short_id if LIST_OPENS in self.marks.values() else call_id)
        names = {tool["function"]["name"] for tool in self.tools.shown}
        return calls_reader(self.marks, names, several=self.tools.several)

    def text_of(self, event: words.Event) -> str:
        """What a reader gets of an event."""
        return with_marks(event, self.marks) if self.tools.use == "may" else event.text


class ChatChunks:
    """Makes the chunks of a stream out of events. Each choice gets its role first and its finish_reason once."""

    def __init__(self, form: Form) -> None:
        self._form = form
        self._readers = [form.reader() for _ in range(form.choices)]
        self._spellings = [Spelling(form.tokenizer) for _ in range(form.choices)]
        self._begun = [False] * form.choices
        self._usage = UsageSum(form.choices)

    def of(self, number: int, event: words.Event) -> Iterator[dict[str, Any]]:
        """The chunks of one event."""
        if not self._begun[number]:
            self._begun[number] = True
            yield self._chunk(number, {"role": "assistant", "content": ""})
        reader = self._readers[number]
        pieces = list(reader.feed(self._form.text_of(event)))
        if isinstance(event, words.Finish):
            pieces += reader.end()
        deltas = [_delta(piece) for piece in pieces]
        if self._form.logprobs and (spelled := list(self._spellings[number].of(event))):
            first, *deltas = deltas or [{"content": ""}]
            yield self._chunk(number, first, logprobs=chat_logprobs(self._form.tokenizer, spelled))
        for delta in deltas:
            yield self._chunk(number, delta)
        if isinstance(event, words.Finish):
            self._usage.add(number, event.usage)
            yield self._chunk(number, {}, finish=finish_reason(event, reader))

    def last(self) -> dict[str, Any] | None:
        """The chunk after all choices, where usage was asked for."""
        if not self._form.include_usage:
            return None
        return {**self._form.identity.members("chat.completion.chunk"), "choices": [], "usage": self._usage.shape()}

    def _chunk(
        self, number: int, delta: dict[str, Any], *, finish: str | None = None, logprobs: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        choice = {"index": number, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
        chunk = {**self._form.identity.members("chat.completion.chunk"), "choices": [choice]}
        return {**chunk, "usage": None} if self._form.include_usage else chunk


def finish_reason(finish: words.Finish, reader: PieceReader) -> str:
    """An answer that stopped after calling a tool says so; one that was cut off says that."""
    return "tool_calls" if finish.reason == "stop" and reader.calls else finish.reason


def _delta(piece: Piece) -> dict[str, Any]:
    if isinstance(piece, Said):
        return {"content": piece.text}
    if isinstance(piece, CallBegins):
        function = {"name": piece.name, "arguments": ""}
        return {"tool_calls": [{"index": piece.index, "id": piece.id, "type": "function", "function": function}]}
    return {"tool_calls": [{"index": piece.index, "function": {"arguments": piece.text}}]}


def chat_object(form: Form, events: Iterable[tuple[int, words.Event]]) -> dict[str, Any]:
    """The whole object of an answer that is not streamed."""
    messages = [_Message(form) for _ in range(form.choices)]
    usage = UsageSum(form.choices)
    for number, event in events:
        messages[number].add(event)
        if isinstance(event, words.Finish):
            usage.add(number, event.usage)
    choices = [message.shape(number) for number, message in enumerate(messages)]
    return {**form.identity.members("chat.completion"), "choices": choices, "usage": usage.shape()}


class _Message:
    def __init__(self, form: Form) -> None:
        self._form = form
        self._reader = form.reader()
        self._texts: list[str] = []
        self._calls: list[dict[str, Any]] = []
        self._spelling = Spelling(form.tokenizer)
        self._tokens: list[Spelled] = []
        self._finish_reason = ""

    def add(self, event: words.Event) -> None:
        self._take(self._reader.feed(self._form.text_of(event)))
        if self._form.logprobs:
            self._tokens += self._spelling.of(event)
        if isinstance(event, words.Finish):
            self._take(self._reader.end())
            self._finish_reason = finish_reason(event, self._reader)

    def _take(self, pieces: Iterable[Piece]) -> None:
        for piece in pieces:
            if isinstance(piece, Said):
                self._texts.append(piece.text)
            elif isinstance(piece, CallBegins):
                function = {"name": piece.name, "arguments": ""}
                self._calls.append({"id": piece.id, "type": "function", "function": function})
            elif isinstance(piece, CallArguments):
                self._calls[piece.index]["function"]["arguments"] += piece.text

    def shape(self, number: int) -> dict[str, Any]:
        text = "".join(self._texts)
        message: dict[str, Any] = {"role": "assistant", "content": text, "refusal": None}
        if self._calls:
            message |= {"content": text or None, "tool_calls": self._calls}
        told = chat_logprobs(self._form.tokenizer, self._tokens) if self._form.logprobs else None
        return {"index": number, "message": message, "logprobs": told, "finish_reason": self._finish_reason}
