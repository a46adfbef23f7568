# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""Which request may have brought a node down. Without it, one request could take down a whole site.

A node that dies takes many answers with it, and most of them are innocent. So all go on elsewhere at once. Only those
that see a second node die before they have drawn another token are suspect: they go on one at a time at each node, and
not at the last one that a site has while that answers others. Who brings a node down while it is the only one there
that can have done it is to blame: the second time, or the first time for a suspect, its prompt is put in quarantine.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from holdfast_inference.gateway.heartbeat import Note

MOST = 10_000
OWN_MOST = 8
"""Prompts that are told to other gateways at a time: the last ones. A site in which more are deadly has other needs."""
WATCHED = 2


class Place(Protocol):
    """Where something failed."""

    @property
    def ready(self) -> bool: ...


@dataclass(frozen=True)
class _Death:
    """A node that failed under an answer, since the answer's last token."""

    place: Place
    silence: bool
    alone: bool
    """No other request there can have been the reason."""
    watched: bool
    """It was a suspect, and no other suspect was there."""

    @property
    def counts(self) -> bool:
        """One that was silent and is back was only slow."""
        return not self.silence or not self.place.ready


class Suspicion:
    """What is held against one answer."""

    def __init__(self) -> None:
        self.crashes = 0
        self._deaths: list[_Death] = []

    def progressed(self) -> None:
        """It drew a token: what brought nodes down before was not this beginning."""
        self._deaths.clear()

    def crashed(self, place: Place, *, drew: bool, alone: bool, silence: bool, watched: bool = False) -> None:
        """A node failed under it; `alone`: no other request there can have been the reason; `watched`: it was a
        suspect, and no other suspect was there."""
        self.crashes += not silence
        self._deaths.append(_Death(place, silence, alone and not drew, watched and not drew))

    @property
    def is_suspect(self) -> bool:
        """Whether one node after the other failed before it drew anything more."""
        return sum(death.counts for death in self._deaths) > 1

    @property
    def blame(self) -> int:
        """How much it is to blame, by nodes that died and by those that are only silent, so far."""
        return _weight(death for death in self._deaths if death.counts)

    @property
    def proven(self) -> int:
        """How much of that is by nodes that died."""
        return _weight(death for death in self._deaths if not death.silence)


def _weight(deaths: Iterable[_Death]) -> int:
    """How much these say against a request. What was suspect has no excuse left, but only by these: nodes that were
    silent prove nothing, and so they make nobody a suspect against whom something could be proven."""
    total = 0
    for before, death in enumerate(deaths):
        is_suspect = before > 1
        if death.alone or (is_suspect and death.watched):
            total += WATCHED if is_suspect else 1
    return total


class Quarantine:
    """Remembers digests of prompts for a while, not the prompts."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._until: dict[bytes, float] = {}
        self._own: deque[bytes] = deque(maxlen=OWN_MOST)
        self.total = 0
        self.learned = 0
        """Of other gateways."""

    def add(self, model: str, prompt: Sequence[int]) -> None:
        """Nobody is to be asked this for a while."""
        digest = _digest(model, prompt)
        self._keep(digest, self._seconds)
        if digest not in self._own:
            self._own.append(digest)
        self.total += 1

    def learn(self, note: Note) -> bool:
        """What another gateway found out, for no longer than it would have been kept here; True where it is new."""
        self._forget()
        if note.digest in self._until or note.seconds <= 0:
            return False
        self._keep(note.digest, min(float(note.seconds), self._seconds))
        self.learned += 1
        return True

    def own(self) -> list[Note]:
        """What was found out here, for the other gateways. What was learned is not told on: so it ends."""
        self._forget()
        now = self._clock()
        left = [(digest, math.ceil(self._until[digest] - now)) for digest in self._own if digest in self._until]
        return [Note(digest, seconds) for digest, seconds in left]

    def _keep(self, digest: bytes, seconds: float) -> None:
        self._forget()
        if len(self._until) >= MOST:
            del self._until[next(iter(self._until))]
        self._until[digest] = self._clock() + seconds

    def holds(self, model: str, prompt: Sequence[int]) -> bool:
        """Whether this prompt is in quarantine."""
        self._forget()
        return bool(self._until) and _digest(model, prompt) in self._until

    def _forget(self) -> None:
        now = self._clock()
        for digest in [digest for digest, until in self._until.items() if until <= now]:
            del self._until[digest]


def _digest(model: str, prompt: Sequence[int]) -> bytes:
    return hashlib.sha256(f"{model}:{','.join(map(str, prompt))}".encode()).digest()
