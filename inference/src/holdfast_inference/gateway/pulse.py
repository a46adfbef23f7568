# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""When a node that used to beat is silent. Pure: it is told the time.

The limit follows what was seen: a node whose beats come every 10 ms is silent after a tenth of a second, one on a busy
machine, whose beats now and then take 80 ms, after a third.
"""

from __future__ import annotations

TIMES_LONGEST = 4.0
GROWTH = 1.5
BUCKET_SECONDS = 5.0


class Pulse:
    """The beats of one life of a node's process."""

    def __init__(self, least: float, most: float) -> None:
        self._least = least
        self._most = most
        self._heard: float | None = None
        self._longest = [0.0, 0.0]
        self._bucket_since = 0.0

    def beat(self, now: float) -> None:
        """One was heard."""
        if self._heard is None:
            self._bucket_since = now
        else:
            pause, limit = now - self._heard, self.limit()
            # Who was taken for dead may pause a little longer the next time, and not as long again: that may have been
            # an hour.
            self._longest[0] = max(self._longest[0], pause if pause <= limit else limit * GROWTH / TIMES_LONGEST)
        self._heard = now
        if now - self._bucket_since > BUCKET_SECONDS:
            self._longest = [0.0, self._longest[0]]
            self._bucket_since = now

    def limit(self) -> float:
        """Seconds after which silence means something: some times the longest that there was lately without it."""
        return min(self._most, max(self._least, TIMES_LONGEST * max(self._longest)))

    def silent_for(self, now: float) -> float:
        """Seconds since the last beat; 0 where there never was one, since then nothing can be said."""
        return 0.0 if self._heard is None else now - self._heard

    def is_silent(self, now: float) -> bool:
        """Whether it beat once and does no longer."""
        return self.silent_for(now) > self.limit()

    def excuse(self, seconds: float) -> None:
        """Who listens was away for so long: that silence was not the node's."""
        if self._heard is not None:
            self._heard += seconds
