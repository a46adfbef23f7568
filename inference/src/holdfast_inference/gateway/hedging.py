# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""A second node for an answer whose first token is late, as long as that costs no more than a small share of all
tokens. Pure."""

from __future__ import annotations

from collections import deque

SAMPLES_LEAST, SAMPLES_MOST = 20, 400
LATE_SHARE = 0.95
SAVED_MOST = 50_000
"""Tokens: an idle night must not pay for a morning of doubled work."""


class Hedging:
    """The budget, and when a first token is late."""

    def __init__(self, share: float, least_seconds: float) -> None:
        self._share = share
        self._least_seconds = least_seconds
        self._saved = 0.0
        self._first_tokens: deque[float] = deque(maxlen=SAMPLES_MOST)
        self.served = 0
        self.spent = 0

    def note_first_token(self, seconds: float) -> None:
        """How long an answer waited for its first token."""
        self._first_tokens.append(seconds)

    def note_served(self, tokens: int) -> None:
        """Tokens that were asked for, which earn a share of themselves."""
        self.served += tokens
        self._saved = min(SAVED_MOST, self._saved + self._share * tokens)

    def delay(self) -> float | None:
        """Seconds after which a first token is late; None while too little is known."""
        if len(self._first_tokens) < SAMPLES_LEAST:
            return None
        ordered = sorted(self._first_tokens)
        return max(self._least_seconds, ordered[int(LATE_SHARE * (len(ordered) - 1))])

    def spend(self, tokens: int) -> bool:
        """Whether a second attempt of this cost may be made; if so, it is paid."""
        if tokens > self._saved:
            return False
        self._saved -= tokens
        self.spent += tokens
        return True
