# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What clients noticed of one kind of fault, summed up the same way wherever it was made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.history.gaps import longest_gap, percentile


@dataclass
class Asked:
    """One request, as its client saw it."""

    begun: float
    ended: float = 0.0
    right: bool = False
    error: str = ""
    again: bool = False
    """Whether its client sent it more than once."""
    moments: list[float] = field(default_factory=list)
    """When something of a stream came."""
    pause: float = 0.0
    """The longest that a stream stood still, where its moments were not kept."""

    @property
    def failed(self) -> bool:
        return bool(self.error) or not self.right

    @property
    def took(self) -> float:
        return self.ended - self.begun

    def stood_still(self, at: float) -> float:
        """The longest that the stream paused from then on."""
        if not self.moments:
            return self.pause
        since = max([moment for moment in self.moments if moment <= at], default=self.begun)
        return longest_gap(self.moments, since, max(self.moments))


@dataclass(frozen=True)
class Try:
    """What was asked around one fault, which began at some moment between these two."""

    at: float
    until: float
    plain: Sequence[Asked]
    streams: Sequence[Asked]
    long: Sequence[Asked] = ()
    """Plain ones that take longer, so that some are in flight when it breaks; no times of new ones are told of them."""

    @property
    def begun_after(self) -> list[Asked]:
        """All that was asked while it was broken, and since."""
        return [one for one in (*self.plain, *self.long, *self.streams) if one.begun >= self.until]

    def caught(self, one: Asked) -> bool:
        """Whether it may have been under way when the fault began."""
        return one.begun < self.until and one.ended >= self.at


def sum_up(tries: Sequence[Try]) -> dict[str, Any]:
    """What clients saw of one kind of fault, in all its rounds."""
    usual = _p99([one for each in tries for one in each.plain if one.ended < each.at])
    new = [one for each in tries for one in each.begun_after]
    new_plain = [one for each in tries for one in each.plain if one.begun >= each.until]
    usual_of_all = _p99([one for each in tries for one in (*each.plain, *each.long) if one.ended < each.at])
    flying = [one for each in tries for one in (*each.plain, *each.long) if each.caught(one)]
    streams = [(one, each.at) for each in tries for one in each.streams if each.caught(one)]
    gaps = [one.stood_still(at) for one, at in streams if not one.error]
    every = (*new, *flying, *(one for one, _at in streams))
    return {
        "new_requests": {
            "failed": sum(one.failed for one in new),
            "of": len(new),
            "added_p99_ms": round((_p99(new_plain) - usual) * 1000) if new_plain else None,
        },
        "in_flight": {
            "failed": sum(one.failed for one in flying),
            "of": len(flying),
            "added_ms": round((max(one.took for one in flying) - usual_of_all) * 1000) if flying else None,
        },
        "streams": {
            "broken": sum(bool(one.error) for one, _at in streams),
            "wrong": sum(not one.error and not one.right for one, _at in streams),
            "of": len(streams),
            "gap_ms": percentiles_ms(gaps) if gaps else None,
        },
        "asked_again": sum(one.again for one in every),
        "errors": Counter(one.error for one in every if one.error),
    }


def _p99(asked: Sequence[Asked]) -> float:
    return percentile([one.took for one in asked], 0.99) if asked else 0.0


def percentiles_ms(seconds: Sequence[float]) -> dict[str, int]:
    return {name: round(percentile(seconds, share) * 1000) for name, share in (("p50", 0.5), ("p99", 0.99))}
