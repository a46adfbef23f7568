# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""One request on its way: its tokens so far, what draws the next one, and how it ends."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..words import Finish, FinishReason, Request, Token, Usage
from .answer import LiveAnswer
from .grammar import Matcher
from .guesses import Guesser
from .sampling import Drawn, Logits, Sampler
from .text import ModelTokenizer, TextStream

_AT_LEAST = 16
"""An answer that is longer than usual is counted as going on for so long."""


@dataclass(frozen=True)
class Ending:
    reason: FinishReason
    stop: str | None = None
    message: str = ""


class Work:
    """The forced beginning of an answer goes through the same steps as drawn tokens do, only that nothing is
    handed out: what remembers (penalties, grammar, held-back text) is then as it was where the tokens were drawn."""

    def __init__(
        self,
        request: Request,
        answer: LiveAnswer,
        *,
        tokenizer: ModelTokenizer,
        vocabulary: int,
        eos_ids: Sequence[int],
        context: int,
        matcher: Matcher | None,
    ) -> None:
        self.request, self.answer = request, answer
        self.arrived = time.monotonic()
        self.order = 0
        self.slot = -1
        self.waits_since = self.arrived
        self.sheltered = False
        self.was_put_out = False
        self.computed = 0
        self.cached = 0
        self.read = 0
        """Tokens of the prompt that were taken over or counted as computed."""
        self.prompt_remembered = False
        self.leader: Work | None = None
        """Another request that is reading the same beginning; it is waited for, since its KV can then be had
        for nothing."""
        self.ending: Ending | None = None
        self.vector: tuple[float, ...] | None = None
        self.ids: list[int] = list(request.prompt_ids)
        self.guesser = Guesser()
        self.guesser.add(request.prompt_ids)
        self._context = context
        self._matcher = matcher
        self._stream = TextStream(tokenizer, request.stop)
        self._ends = set(request.stop_ids) | (set() if request.ignore_eos else set(eos_ids))
        self._sampler = Sampler(request.sampling, request.prompt_ids, vocabulary, request.logprobs, self._ends)
        for token in request.forced_output_ids:
            self._take(token)
            if self.ending is not None:
                break

    # -- what the scheduler asks ------------------------------------------------------------------------------------
    @property
    def drawn(self) -> int:
        """Tokens of the answer so far, forced ones included."""
        return len(self.ids) - len(self.request.prompt_ids)

    @property
    def client(self) -> str:
        return self.request.client

    @property
    def priority(self) -> int:
        return self.request.priority

    @property
    def begun(self) -> bool:
        """By another node, or here before it was put out."""
        return bool(self.drawn) or self.was_put_out

    def put_out(self) -> None:
        """It waits again. All that it has drawn stays, and is computed again when it goes on."""
        self.slot, self.computed, self.leader = -1, 0, None
        self.was_put_out = True
        self.waits_since = time.monotonic()

    def pending(self, most: int) -> list[int]:
        """Tokens that are known and not computed yet."""
        return self.ids[self.computed : self.computed + most]

    def uncomputed(self) -> int:
        return len(self.ids) - self.computed

    def in_common(self, other: Work) -> int:
        """With how many tokens both begin."""
        pairs = zip(self.ids, other.ids, strict=False)
        return next((at for at, (mine, its) in enumerate(pairs) if mine != its), min(len(self.ids), len(other.ids)))

    def still_to_do(self, usual: float) -> int:
        """Tokens that are probably still to be computed, where answers usually have so many. Few answers become
        as long as they may, so counting `max_tokens` would refuse work that there is room for."""
        return self.uncomputed() + max(0, min(self._room(), max(int(usual) - self.drawn, _AT_LEAST)))

    def guess(self, most: int, free: int) -> tuple[list[int], float]:
        """Tokens that may follow, not beyond the end that is sure, and how likely each is to come true."""
        most = min(most, self._room() - 1)
        if most <= 0:
            return [], 0.0
        certain = self._matcher.certain(most) if self._matcher else []
        return (certain, 1.0) if certain else (self.guesser.guess(most, free=free), self.guesser.chance)

    def draw(self, logits: Logits) -> int:
        """Draws the next token, hands it out, and notes whether the answer ends with it."""
        index = self.drawn
        allowed = self._matcher.allowed() if self._matcher else None
        hold_end = index < self.request.min_tokens
        drawn = self._sampler.draw(logits, index, allowed=allowed, hold_end=hold_end)
        text = self._take(drawn.id)
        self._hand_out(index, drawn, text)
        return drawn.id

    def embed(self, state: Logits) -> None:
        """The state of the last token is the vector of the whole, at length 1."""
        wide = state.astype(np.float64)
        length = float(np.sqrt((wide**2).sum()))
        if not np.isfinite(length) or length == 0:
            self.ending = Ending("error", message="The model made no vector of this text.")
            return
        self.vector = tuple((wide / length).astype(np.float32).tolist())
        self.ending = Ending("stop")

    def finish(self, ending: Ending) -> None:
        """The last event."""
        held_back = self._stream.finish()
        usage = Usage(len(self.request.prompt_ids), self.drawn, min(self.cached, len(self.request.prompt_ids)))
        self.answer.put(Finish(ending.reason, held_back, usage, ending.stop, ending.message, self.vector))

    # -- one token --------------------------------------------------------------------------------------------------
    def _room(self) -> int:
        return min(self.request.max_tokens - self.drawn, self._context - len(self.ids))

    def _take(self, token: int) -> str:
        """Makes the token part of the answer; returns the text that may be shown."""
        self.ids.append(token)
        self.guesser.add([token])
        self._sampler.count(token)
        if token in self._ends:
            self.ending = Ending("stop")
            return ""
        if self._matcher is not None:
            self._matcher.accept(token)
        text = self._stream.push(token, may_stop=self.drawn >= self.request.min_tokens)
        if self._stream.stopped is not None:
            self.ending = Ending("stop", self._stream.stopped)
        elif self._matcher is not None and self._matcher.finished():
            self.ending = Ending("stop")
        elif self._room() <= 0:
            self.ending = Ending("length")
        return text

    def _hand_out(self, index: int, drawn: Drawn, text: str) -> None:
        self.answer.put(Token(index, drawn.id, text, drawn.logprob, drawn.top))
