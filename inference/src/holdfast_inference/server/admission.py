# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""Admission by tokens: how much work may be under way, in all and for one key, and when to ask again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from holdfast_inference.server.errors import RETRY_AFTER_MOST, ApiError
from holdfast_inference.server.settings import Admission

SLOWEST = 1.0
"""Tokens a second that are assumed while nothing was measured yet."""


class Ticket:
    """The right to have some tokens under way. Give it back once; giving it back again changes nothing."""

    def __init__(self, gate: Gate, key: str, tokens: int) -> None:
        self._gate = gate
        self._key = key
        self.tokens = tokens
        self._open = True

    def give_back(self) -> None:
        """The work is over, however it ended."""
        if self._open:
            self._open = False
            self._gate._leave(self._key, self.tokens)


class Gate:
    """Lets work in while there is room. Used from the event loop only."""

    def __init__(self, settings: Admission, tokens_per_second: Callable[[], float]) -> None:
        self._settings = settings
        self._tokens_per_second = tokens_per_second
        self._by_key: Counter[str] = Counter()
        self.tokens = 0
        self.refused = 0

    def cost(self, prompt_tokens: int, max_tokens: int, choices: int) -> int:
        """What a prompt and its answers count here."""
        return prompt_tokens + choices * min(max_tokens, self._settings.assumed_answer_tokens)

    def enter(self, key: str, tokens: int) -> Ticket:
        """A ticket, or a 429 that says when there may be room. What is alone always fits: else it never would."""
        over = max(
            self.tokens + tokens - self._settings.tokens if self.tokens else 0,
            self._by_key[key] + tokens - self._settings.tokens_per_key if self._by_key[key] else 0,
        )
        if over > 0:
            self.refused += 1
            raise ApiError(
                429,
                "tokens_in_flight_exceeded",
                f"{self.tokens} tokens are under way, {self._by_key[key]} of them for this key, and these {tokens}"
                f" would be {over} too many. Nothing was computed; ask again after the time in Retry-After.",
                retry_after=self._wait(over),
            )
        self.tokens += tokens
        self._by_key[key] += tokens
        return Ticket(self, key, tokens)

    def _wait(self, over: int) -> float:
        return min(over / max(self._tokens_per_second(), SLOWEST), RETRY_AFTER_MOST)

    def _leave(self, key: str, tokens: int) -> None:
        self.tokens -= tokens
        self._by_key[key] -= tokens
        if not self._by_key[key]:
            del self._by_key[key]
