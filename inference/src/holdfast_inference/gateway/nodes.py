# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""The nodes of a site: how each is, as far as is known here, which one is asked next, and how much they take."""

from __future__ import annotations

import asyncio
import hashlib
import ipaddress
import time
from collections import deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from holdfast_inference import words
from holdfast_inference.gateway.heartbeat import State
from holdfast_inference.gateway.listening import Heard

if TYPE_CHECKING:
    from holdfast_inference.gateway.attempt import Attempt

PREFIX = 64
"""Prompt ids by which a node is chosen: a site's system prompts are longer, questions to them begin alike."""
TOGETHER_SECONDS = 0.2
"""Attempts that fail at one node within so long failed together."""


@dataclass(frozen=True)
class Member:
    """A node as the site's list has it."""

    name: str
    url: str
    heartbeat_port: int = 0
    """0: it does not beat."""

    def heartbeat_address(self) -> tuple[str, int] | None:
        """Where it listens for hellos. Names are not resolved here, since that could take seconds."""
        host = urlsplit(self.url).hostname or ""
        try:
            ipaddress.ip_address(host)
        except ValueError:
            return None
        return (host, self.heartbeat_port) if self.heartbeat_port else None


@dataclass(eq=False)
class Node:
    """One node. What it told of itself may be a little old; what is under way from here is exact."""

    member: Member
    backup: bool = False
    """Another site's: only asked where this one has none left."""
    answering: bool = False
    """Whether it said lately, by HTTP, that it takes work."""
    answered_at: float = float("-inf")
    heard: Heard | None = None
    models: Mapping[str, words.ModelFacts] = field(default_factory=dict)
    strange: set[str] = field(default_factory=set)
    """Models that it has with another tokenizer than this gateway."""
    told: Mapping[str, Any] = field(default_factory=dict)
    attempts: set[Attempt] = field(default_factory=set)
    fallen: deque[tuple[float, Attempt]] = field(default_factory=lambda: deque(maxlen=256))
    """What failed here lately, and when."""
    leaving: bool = False
    """The site's list has it no longer."""
    drawn: int = 0
    """Tokens that came from it."""
    look_now: asyncio.Event = field(default_factory=asyncio.Event)
    stuck: bool = False
    _steps: int = -1
    _stepped_at: float = 0.0

    @property
    def name(self) -> str:
        return self.member.name

    @property
    def silent(self) -> bool:
        """It beat once and does no longer, and has not answered by HTTP since: then only the beats are lost."""
        heard = self.heard
        return heard is not None and heard.silent and self.answered_at <= heard.silent_since

    @property
    def draining(self) -> bool:
        """Whether it said that it stops; true until it is born anew."""
        return self.heard is not None and self.heard.state is not None and self.heard.state.draining

    @property
    def ready(self) -> bool:
        """Whether work should go there."""
        if not self.answering or self.silent:
            return False
        beat = self._fresh_beat()
        return not self.stuck and (beat is None or beat.ready)

    def _fresh_beat(self) -> State | None:
        heard = self.heard
        return heard.state if heard is not None and not heard.silent else None

    def note_steps(self, now: float, stuck_after: float) -> None:
        """Notice an engine that is stuck. To be called again and again."""
        beat = self._fresh_beat()
        if beat is None or not (beat.running or beat.waiting) or beat.steps != self._steps:
            self._steps, self._stepped_at = beat.steps if beat else -1, now
        self.stuck = now - self._stepped_at > stuck_after

    def fingerprint(self, model: str) -> str | None:
        """What names the model's bytes and how this machine computes."""
        facts = self.models.get(model)
        return facts.fingerprint if facts else None

    def told_state(self) -> str:
        """In words."""
        if self.ready:
            return "backup" if self.backup else "leaving" if self.leaving else "ready"
        return "silent" if self.silent else "stuck" if self.stuck else "not ready" if self.answering else "away"

    @property
    def beating(self) -> bool:
        """Whether its death would be heard at once."""
        return self._fresh_beat() is not None

    @property
    def under_way(self) -> int:
        """Tokens that this gateway has given to it and that are not over."""
        return sum(attempt.cost for attempt in self.attempts)

    @property
    def limit(self) -> int:
        """Tokens that it takes; 0 where it has not said."""
        beat = self._fresh_beat()
        return beat.queue_limit_tokens if beat else self._sum("queue_limit_tokens")

    def load(self) -> int:
        """Tokens ahead of a new request."""
        beat = self._fresh_beat()
        return max(beat.queued_tokens if beat else self._sum("queued_tokens"), self.under_way)

    def speed(self) -> float:
        """Tokens a second, as it measured lately."""
        beat = self._fresh_beat()
        return float(beat.tokens_per_second if beat else self.told.get("tokens_per_second", 0.0))

    def _sum(self, member: str) -> int:
        return sum(int(model[member]) for model in self.told.get("models", {}).values())

    def forget_fallen(self, now: float) -> None:
        """Attempts that failed longer ago say nothing any more, and each holds its whole answer."""
        while self.fallen and self.fallen[0][0] < now - TOGETHER_SECONDS:
            self.fallen.popleft()

    def has_suspect(self) -> bool:
        """Whether an answer that may bring it down is being read here."""
        return any(attempt.suspect and not attempt.drew for attempt in self.attempts)

    def is_alone(self, attempt: Attempt) -> bool:
        """Whether no other request can have brought this node down, since no other one was being read."""
        return not self._unread_beside(attempt)

    def is_watched(self, attempt: Attempt) -> bool:
        """Whether it is the only suspect of all that can have brought this node down."""
        return attempt.suspect and not any(other.suspect for other in self._unread_beside(attempt))

    def _unread_beside(self, attempt: Attempt) -> list[Attempt]:
        since = time.monotonic() - TOGETHER_SECONDS
        others = {*self.attempts, *(fallen for at, fallen in self.fallen if at >= since)} - {attempt}
        return [other for other in others if not other.drew]


def check_told(summary: Mapping[str, Any]) -> None:
    """Raises where a summary lacks what is asked of it later, in the middle of somebody's request."""
    float(summary.get("tokens_per_second", 0.0))
    for model in summary.get("models", {}).values():
        for member in ("running", "waiting", "queued_tokens", "queue_limit_tokens"):
            int(model[member])
        float(model["kv_use"])


def rank(node: Node, prompt: Sequence[int]) -> bytes:
    """The same order of nodes for prompts that begin alike, and another one for each other beginning."""
    beginning = ",".join(map(str, prompt[:PREFIX]))
    return hashlib.blake2b(f"{node.name}/{beginning}".encode(), digest_size=8).digest()


def choose(
    nodes: Iterable[Node],
    request: words.Request,
    tried: Collection[Node],
    *,
    suspect: bool = False,
    like: str | None = None,
) -> Node | None:
    """The node at which the request is likely to be done first; None where there is none to ask now.

    Nodes that seem to be away are only asked when no other is left: what is known here may be wrong, and the last one
    is never given up. What may bring nodes down waits for a node where no other such is, and is kept from the last one
    while that answers others.
    An answer that was begun goes on where the model and the machine are `like` those that began it, if there is one.
    """
    known = list(nodes)
    ready = [node for node in known if node.ready]
    if suspect and not _may_risk([node for node in ready if not node.backup]):
        return None
    able = _first_tier(known, request.model, tried)
    same = [node for node in able if like is not None and like == node.fingerprint(request.model)]
    able = same or able
    if suspect:
        able = [node for node in able if not node.has_suspect()]
    if not able:
        return None
    least = min(node.load() for node in able)
    home = min(able, key=lambda node: rank(node, request.prompt_ids))
    # At home the prompt may be in the prefix cache, which saves at most its length.
    if home.load() <= least + len(request.prompt_ids):
        return home
    return min(able, key=lambda node: (node.load(), rank(node, request.prompt_ids)))


def _may_risk(ready: Sequence[Node]) -> bool:
    """Whether a site is no worse off if one of its nodes dies now."""
    return len(ready) > 1 or (len(ready) == 1 and all(attempt.suspect for attempt in ready[0].attempts))


def _first_tier(nodes: Sequence[Node], model: str, tried: Collection[Node]) -> list[Node]:
    left = [node for node in nodes if node not in tried and model not in node.strange]
    able = [node for node in left if node.ready and model in node.models]
    tiers = (
        [node for node in able if not node.backup and not node.leaving],
        [node for node in able if not node.backup],
        able,
        [node for node in left if not node.backup],
        left,
    )
    return next((tier for tier in tiers if tier), [])


@dataclass(frozen=True)
class Room:
    """How much work a site takes."""

    load: int
    whole: int
    """What all nodes take together."""
    spare: int
    """What is left of that when the largest one dies."""

    def limit(self, priority: int) -> int:
        """What a request of this priority may fill: the first in rank all of it, the usual what the others could take
        over when a node dies, and the last in rank half of that."""
        if priority > 0:
            return self.whole
        return self.spare if priority == 0 else self.spare // 2


def room_of(nodes: Iterable[Node]) -> Room | None:
    """The room of those that are ready; None where none has said what it takes."""
    ready = [node for node in nodes if node.ready and not node.backup and node.limit]
    if not ready:
        return None
    limits = [node.limit for node in ready]
    whole = sum(limits)
    return Room(sum(node.load() for node in ready), whole, whole - max(limits) if len(limits) > 1 else whole)
