# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""The answers to one call: read together, measured on the way, and let go together."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from typing import Protocol, runtime_checkable

from holdfast_inference import words
from holdfast_inference.server.errors import ApiError, internal
from holdfast_inference.server.exchange import Exchange
from holdfast_inference.server.measures import Measures

log = logging.getLogger(__name__)

Numbered = tuple[int, words.Event]
"""An event and which of the call's answers it belongs to."""


@runtime_checkable
class Relayed(Protocol):
    """An answer that is drawn elsewhere. By what, is known from its first event on."""

    @property
    def digest(self) -> str | None: ...

    @property
    def fingerprint(self) -> str | None: ...


class Work:
    """Close it in any case: that ends what still runs and gives back its tokens."""

    def __init__(
        self,
        answers: Sequence[words.Answer],
        facts: words.ModelFacts,
        exchange: Exchange,
        measures: Measures,
        over: Callable[[Work], None],
    ) -> None:
        self._answers = answers
        self.facts = facts
        """Of the model that draws: where that is elsewhere and nodes differ, known from the first event on."""
        self._model = facts.name
        self._exchange = exchange
        self._measures = measures
        self._over = over
        self._is_known = False
        self._handed_over = False
        self._closed = False
        exchange.model = facts.name

    async def events(self) -> AsyncIterator[Numbered]:
        """All events. After it, each answer has had its one Finish, of reason stop or length; anything else raises."""
        last: dict[int, float] = {}
        unfinished = set(range(len(self._answers)))
        async for number, event in self._merged():
            now = time.monotonic()
            if not self._is_known:
                self._note_who_draws(self._answers[number])
            if isinstance(event, words.Token):
                self._count_token(now, last.get(number))
                last[number] = now
            else:
                unfinished.discard(number)
                self._count_finish(now, event)
            yield number, event
        if unfinished:
            raise internal("The engine stopped in the middle of this answer.")

    def _note_who_draws(self, answer: words.Answer) -> None:
        self._is_known = True
        if isinstance(answer, Relayed) and answer.digest and answer.fingerprint:
            self.facts = replace(self.facts, digest=answer.digest, fingerprint=answer.fingerprint)

    def _count_token(self, now: float, before: float | None) -> None:
        if before is not None:
            self._measures.count_token(self._model, now - before)
            return
        seconds = now - self._exchange.begun
        self._measures.count_first_token(self._model, seconds)
        if self._exchange.first_token_seconds is None:
            self._exchange.first_token_seconds = seconds

    def _count_finish(self, now: float, finish: words.Finish) -> None:
        self._measures.count_answer(self._model, finish, now - self._exchange.begun)
        self._exchange.finish_reasons.append(finish.reason)
        self._exchange.prompt_tokens += finish.usage.prompt
        self._exchange.cached_tokens += finish.usage.cached
        self._exchange.completion_tokens += finish.usage.completion
        if finish.reason not in ("stop", "length"):
            raise self._failure(finish)

    def _failure(self, finish: words.Finish) -> ApiError:
        if self._handed_over:
            return ApiError(503, "draining", "This node is being drained; the answer can go on at another one.")
        if finish.reason == "deadline":
            return ApiError(408, "deadline_exceeded", "The time that this request was given is over.")
        if finish.reason == "cancelled":
            return ApiError(503, "cancelled", "The answer was ended by the server before it was complete.")
        log.error("the engine failed", extra={"request_id": self._exchange.id, "reason": finish.message})
        return internal()

    async def _merged(self) -> AsyncIterator[Numbered]:
        if len(self._answers) == 1:
            async for event in self._answers[0]:
                yield 0, event
            return
        # Unbounded here, bounded by max_tokens: a slow reader must not make the engine wait.
        queue: asyncio.Queue[Numbered | BaseException | None] = asyncio.Queue()
        readers = [asyncio.create_task(_read(number, answer, queue)) for number, answer in enumerate(self._answers)]
        try:
            left = len(readers)
            while left:
                entry = await queue.get()
                if isinstance(entry, BaseException):
                    raise entry
                if entry is None:
                    left -= 1
                else:
                    yield entry
        finally:
            for reader in readers:
                reader.cancel()

    def hand_over(self) -> None:
        """End it with an error that says that another node can go on."""
        self._handed_over = True
        for answer in self._answers:
            answer.cancel()

    def close(self) -> None:
        """End what still runs. Closing twice is fine."""
        if self._closed:
            return
        self._closed = True
        for answer in self._answers:
            answer.cancel()
        self._over(self)


async def _read(number: int, answer: words.Answer, queue: asyncio.Queue[Numbered | BaseException | None]) -> None:
    try:
        async for event in answer:
            queue.put_nowait((number, event))
        queue.put_nowait(None)
    except Exception as error:
        queue.put_nowait(error)
