# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Not an engine: what it draws is written down before. Only for unit tests of the server, above all of how it tells
failures that a real engine cannot be made to have on demand."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from holdfast_inference import words

EOS = 0


class LetterTokenizer:
    """One token a character."""

    digest = "letters"

    def encode(self, text: str, *, special: bool = True) -> list[int]:
        return [ord(letter) for letter in text]

    def decode(self, ids: Sequence[int], *, special: bool = False) -> str:
        return "".join(map(chr, ids))

    def id_of(self, token: str) -> int | None:
        return ord(token) if len(token) == 1 else None

    def chat(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        tools: Sequence[Mapping[str, Any]] | None = None,
        answer_begins: bool = True,
        **more: Any,
    ) -> list[int]:
        return self.encode("".join(f"{message['role']}: {message['content']}\n" for message in messages))


@dataclass
class Script:
    """What each answer says, and what happens to it."""

    text: str = "The lamp is in aisle 12."
    before: float = 0.0
    """Seconds before the first token."""
    between: float = 0.0
    end: words.FinishReason | None = "stop"
    """None: it just ends, as no engine may."""
    refusal: words.Refused | None = None
    breaks_after: int | None = None
    """Tokens after which reading it raises."""


@dataclass
class ScriptedAnswer:
    script: Script
    request: words.Request
    cancelled: threading.Event = field(default_factory=threading.Event)

    @property
    def request_id(self) -> str:
        return self.request.id

    def __iter__(self) -> Iterator[words.Event]:
        raise NotImplementedError("The server reads answers from its event loop.")

    async def __aiter__(self) -> AsyncIterator[words.Event]:
        await self._wait(self.script.before)
        text = self.script.text[: self.request.max_tokens]
        drawn = len(self.request.forced_output_ids)
        for index, letter in list(enumerate(text))[drawn:]:
            if self.cancelled.is_set():
                break
            if index == self.script.breaks_after:
                raise RuntimeError("The script says that it breaks here.")
            drawn += 1
            yield words.Token(index, ord(letter), letter, -0.5, ((ord(letter), -0.5),) * (self.request.logprobs or 0))
            await self._wait(self.script.between)
        usage = words.Usage(len(self.request.prompt_ids), drawn)
        if self.cancelled.is_set():
            yield words.Finish("cancelled", "", usage)
        elif self.script.end is not None:
            yield words.Finish("length" if len(text) < len(self.script.text) else self.script.end, "", usage)

    async def _wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while not self.cancelled.is_set() and (left := until - time.monotonic()) > 0:
            await asyncio.sleep(min(left, 0.01))

    def cancel(self) -> None:
        self.cancelled.set()


class ScriptedEngine:
    """Says what it was told to say."""

    def __init__(self, script: Script | None = None) -> None:
        self.script = script or Script()
        self.answers: list[ScriptedAnswer] = []
        self.closed = False

    def models(self) -> Mapping[str, words.ModelFacts]:
        return {"shop": words.ModelFacts("shop", "sha256:aa", "fp_aa", 512, 0x110000, (EOS,), 4, 2, 1, True, 1.0)}

    def tokenizer(self, model: str) -> words.Tokenizer:
        return LetterTokenizer()

    def submit(self, request: words.Request) -> words.Answer:
        if self.script.refusal:
            raise self.script.refusal
        self.answers.append(ScriptedAnswer(self.script, request))
        return self.answers[-1]

    def status(self) -> words.Status:
        state = words.ModelStatus(0, 0, 0, 1000, 0.0, 0.0, 0, 0, 0, 0, 0, 0, 0, 0, {})
        return words.Status({"shop": state}, draining=False)

    def drain(self) -> None:
        raise NotImplementedError("The server drains by itself.")

    def close(self) -> None:
        self.closed = True
