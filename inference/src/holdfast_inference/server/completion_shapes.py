# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""A completion's answers in OpenAI's older shapes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from holdfast_inference import words
from holdfast_inference.server.shapes import Identity, UsageSum, completion_logprobs
from holdfast_inference.server.spelling import Spelled, Spelling


@dataclass(frozen=True)
class Form:
    """How the answers to one call are told."""

    identity: Identity
    tokenizer: words.Tokenizer
    echoes: Sequence[str]
    """For each answer, the text that is told before it: its prompt, where that was asked for."""
    choices_per_prompt: int
    logprobs: bool
    include_usage: bool


class CompletionChunks:
    """Makes the chunks of a stream out of events."""

    def __init__(self, form: Form) -> None:
        self._form = form
        self._spellings = [Spelling(form.tokenizer) for _ in form.echoes]
        self._begun = [False] * len(form.echoes)
        self._usage = UsageSum(form.choices_per_prompt)

    def of(self, number: int, event: words.Event) -> Iterator[dict[str, Any]]:
        """The chunks of one event."""
        text = event.text
        if not self._begun[number]:
            self._begun[number] = True
            text = self._form.echoes[number] + text
        spelled = list(self._spellings[number].of(event)) if self._form.logprobs else []
        told = completion_logprobs(self._form.tokenizer, spelled) if spelled else None
        if isinstance(event, words.Finish):
            self._usage.add(number, event.usage)
            yield self._chunk(number, text, finish=event.reason, logprobs=told)
        elif text or told:
            yield self._chunk(number, text, logprobs=told)

    def last(self) -> dict[str, Any] | None:
        """The chunk after all choices, where usage was asked for."""
        if not self._form.include_usage:
            return None
        return {**self._form.identity.members("text_completion"), "choices": [], "usage": self._usage.shape()}

    def _chunk(
        self, number: int, text: str, *, finish: str | None = None, logprobs: dict[str, Any] | None = None
    ) -> dict[str, Any]:
        choice = {"index": number, "text": text, "logprobs": logprobs, "finish_reason": finish}
        chunk = {**self._form.identity.members("text_completion"), "choices": [choice]}
        return {**chunk, "usage": None} if self._form.include_usage else chunk


def completion_object(form: Form, events: Iterable[tuple[int, words.Event]]) -> dict[str, Any]:
    """The whole object of an answer that is not streamed."""
    texts = [[echo] for echo in form.echoes]
    spellings = [Spelling(form.tokenizer) for _ in form.echoes]
    tokens: list[list[Spelled]] = [[] for _ in form.echoes]
    reasons = [""] * len(texts)
    usage = UsageSum(form.choices_per_prompt)
    for number, event in events:
        texts[number].append(event.text)
        if form.logprobs:
            tokens[number] += spellings[number].of(event)
        if isinstance(event, words.Finish):
            usage.add(number, event.usage)
            reasons[number] = event.reason
    choices = [
        {
            "index": number,
            "text": "".join(texts[number]),
            "logprobs": completion_logprobs(form.tokenizer, tokens[number]) if form.logprobs else None,
            "finish_reason": reasons[number],
        }
        for number in range(len(texts))
    ]
    return {**form.identity.members("text_completion"), "choices": choices, "usage": usage.shape()}
