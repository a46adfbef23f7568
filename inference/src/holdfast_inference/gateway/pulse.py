# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""When a node that used to beat is silent. Pure: it is told the time.

The limit follows what was seen: a node whose beats come every 10 ms is silent after a tenth of a second, one on a busy
machine, whose beats now and then take 80 ms, after a third. Without work it beats less often, and that says nothing of
how long it may be silent at work.
"""

from __future__ import annotations

TIMES_LONGEST = 4.0
GROWTH = 1.5
BUCKET_SECONDS = 5.0


class _Longest:
    """The longest pause of the last five to ten seconds that consisted of such pauses."""

    def __init__(self) -> None:
        self._now = self._before = self._seen = 0.0
        self.is_known = False
        """Whether it was looked for as long as that."""

    def add(self, pause: float) -> None:
        self._now = max(self._now, pause)
        self._seen += pause
        if self._seen > BUCKET_SECONDS:
            self._before, self._now, self._seen, self.is_known = self._now, 0.0, 0.0, True

    @property
    def seconds(self) -> float:
        return max(self._now, self._before)


class Pulse:
    """The beats of one life of a node's process."""

    def __init__(self, least: float, most: float) -> None:
        self._least = least
        self._most = most
        self._heard: float | None = None
        self._busy = False
        self._at_work, self._idle = _Longest(), _Longest()

    def beat(self, now: float, *, busy: bool) -> None:
        """One was heard, and what it said decides when the next one is due."""
        if self._heard is not None:
            pause, limit = now - self._heard, self.limit()
            # Who was taken for dead may pause a little longer the next time, and not as long again: that may have been
            # an hour.
            pauses = self._at_work if self._busy else self._idle
            pauses.add(pause if pause <= limit else limit * GROWTH / TIMES_LONGEST)
        self._heard, self._busy = now, busy

    def limit(self) -> float:
        """Seconds after which silence means something: some times the longest that there was lately without it."""
        longest = self._at_work.seconds
        if not (self._busy and self._at_work.is_known):
            longest = max(longest, self._idle.seconds)
        return min(self._most, max(self._least, TIMES_LONGEST * longest))

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
