# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""All nodes together, and what looks at them: HTTP, heartbeats, and the list of who belongs to the site."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
import time
from collections.abc import Generator, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

from holdfast_inference import words
from holdfast_inference.gateway.blame import Quarantine
from holdfast_inference.gateway.heartbeat import read_key
from holdfast_inference.gateway.listening import Heard, Listening
from holdfast_inference.gateway.nodes import Member, Node, check_told
from holdfast_inference.gateway.pulse import Pulse
from holdfast_inference.gateway.settings import GatewaySettings

log = logging.getLogger(__name__)

WATCH_SECONDS = 0.02
FORGET_SECONDS = 5.0
SLOWER_WHILE_BEATING = 16


class Site:
    """Used from one event loop, in which it must be started."""

    def __init__(self, settings: GatewaySettings, tokenizers: Mapping[str, words.Tokenizer]) -> None:
        self.settings = settings
        self._tokenizers = tokenizers
        self.all: list[Node] = []
        self.changed = asyncio.Event()
        """Set and replaced whenever somebody who waits for a node should look again."""
        auth = _NodeKey(settings.node_key_file) if settings.node_key_file else None
        timeout = httpx.Timeout(settings.stall_seconds, connect=settings.connect_seconds, pool=None)
        verify = _tls(settings)
        self.looking = httpx.AsyncClient(auth=auth, timeout=timeout, trust_env=False, verify=verify)
        # A connection for each answer: one that was kept from before may have lost its node, which looks as if the node
        # had taken the request and failed under it.
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=0)
        self.asking = httpx.AsyncClient(auth=auth, limits=limits, timeout=timeout, trust_env=False, verify=verify)
        self.quarantine = Quarantine(settings.quarantine_seconds)
        self._listening: Listening | None = None
        if settings.heartbeat_key_file is not None:
            shared = read_key(settings.heartbeat_key_file)
            self._listening = Listening(shared, self._fell_silent, self._reborn, self.quarantine)
        self._tasks: dict[Node | None, asyncio.Task[None]] = {}

    async def start(self) -> None:
        """Begin to look at the nodes that need no list."""
        if self._listening is not None:
            await self._listening.start()
        self._tasks[None] = asyncio.create_task(self._watch())
        for name, url in self.settings.nodes.items():
            self._add(Node(Member(name, url, self.settings.heartbeat_port)))
        for name, url in self.settings.backup.items():
            self._add(Node(Member(name, url), backup=True))

    async def close(self) -> None:
        """Stop looking."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        if self._listening is not None:
            await self._listening.close()
        await self.looking.aclose()
        await self.asking.aclose()

    def take_list(self, members: Iterable[Member]) -> None:
        """Who belongs to the site now. Who is missing goes when it is gone, and never as the last."""
        wanted = {(member.name, member.url): member for member in members}
        fixed = set(self.settings.nodes.items())
        known = {(node.member.name, node.member.url): node for node in self.all if not node.backup}
        for key, node in known.items():
            node.leaving = key not in wanted and key not in fixed
        for key, member in wanted.items():
            if key not in known:
                self._add(Node(member))

    def lost(self, node: Node, reason: str) -> None:
        """It does not answer; the next look that succeeds brings it back."""
        if node.answering:
            log.warning("a node does not answer", extra={"node": node.name, "reason": reason})
        node.answering = False
        node.look_now.set()

    def put_in_quarantine(self, model: str, prompt: Sequence[int]) -> None:
        """Nobody is asked this prompt for a while, by no gateway of the site."""
        self.quarantine.add(model, prompt)
        if self._listening is not None:
            self._listening.announce()

    def wake(self) -> None:
        """Something changed for those who wait for a node."""
        self.changed.set()
        self.changed = asyncio.Event()

    async def wait(self, seconds: float) -> None:
        """Until something changed, or so long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.changed.wait()

    def _add(self, node: Node) -> None:
        address = node.member.heartbeat_address()
        if self._listening is not None and address is not None and not node.backup:
            least, most = self.settings.silence_seconds, self.settings.silence_seconds_most
            node.heard = Heard(address, lambda: Pulse(least, most))
            self._listening.add(node.heard)
        self.all.append(node)
        self._tasks[node] = asyncio.create_task(self._look_at(node))

    def _remove(self, node: Node) -> None:
        log.info("a node left the site", extra={"node": node.name})
        self.all.remove(node)
        if self._listening is not None and node.heard is not None:
            self._listening.remove(node.heard)
        self._tasks.pop(node).cancel()

    # -- by HTTP ------------------------------------------------------------------------------------------------------
    async def _look_at(self, node: Node) -> None:
        while True:
            begun = time.monotonic()
            try:
                await self._look_once(node, begun)
            except Exception as error:
                # Whatever it says that makes no sense: the next look may be better, and there has to be one.
                self.lost(node, f"{type(error).__name__}: {error}")
                node.look_now.clear()
            every = self.settings.look_seconds * (SLOWER_WHILE_BEATING if node.beating and node.ready else 1)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(every):
                    await node.look_now.wait()
            if node.look_now.is_set():
                node.look_now.clear()
                await asyncio.sleep(min(WATCH_SECONDS, self.settings.look_seconds))

    async def _look_once(self, node: Node, begun: float) -> None:
        summary = (await self.looking.get(f"{node.member.url}/metrics/summary")).raise_for_status().json()
        ready = bool(summary["ready"])
        check_told(summary)
        if ready:
            listed = (await self.looking.get(f"{node.member.url}/v1/models")).raise_for_status().json()
            self._note_models(node, [_facts(entry) for entry in listed["data"]])
        node.told = summary
        if ready != node.answering:
            log.info("a node is ready" if ready else "a node is not ready", extra={"node": node.name})
        node.answered_at = begun
        node.answering = ready
        if ready:
            self.wake()

    def _note_models(self, node: Node, served: Sequence[words.ModelFacts]) -> None:
        """What it serves; apart from that, models whose tokenizer is not the one that is read here: while a new version
        comes, a gateway may have the folder of the one before, and what that makes of a text means something else."""
        own = {name: tokenizer.digest for name, tokenizer in self._tokenizers.items()}
        strange = {facts.name for facts in served if facts.tokenizer not in ("", own.get(facts.name, facts.tokenizer))}
        for name in sorted(strange - node.strange):
            told = {"node": node.name, "model": name}
            log.error("a node has another tokenizer than this gateway, and is not asked this model", extra=told)
        node.strange = strange
        node.models = {facts.name: facts for facts in served if facts.name not in strange}

    # -- by heartbeats ------------------------------------------------------------------------------------------------
    def _node_of(self, heard: Heard) -> Node | None:
        return next((node for node in self.all if node.heard is heard), None)

    def _fell_silent(self, heard: Heard) -> None:
        node = self._node_of(heard)
        if node is not None:
            told = {"node": node.name, "limit_milliseconds": round(heard.pulse.limit() * 1000)}
            log.warning("a node's heartbeats stopped", extra=told)
            node.look_now.set()

    def _reborn(self, heard: Heard) -> None:
        """What was asked of the process before is lost, also where its connections have not noticed."""
        node = self._node_of(heard)
        if node is not None:
            for attempt in list(node.attempts):
                attempt.cut("its process was started anew")
            node.answering = False
            node.look_now.set()

    # -- again and again ----------------------------------------------------------------------------------------------
    async def _watch(self) -> None:
        ready_before: dict[Node, bool] = {}
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            now = time.monotonic()
            for node in list(self.all):
                node.note_steps(now, self.settings.stuck_seconds)
                node.forget_fallen(now)
                if (node.silent and node.heard is not None) or node.stuck:
                    self._cut_off(node, now)
                if node.ready and not ready_before.get(node, False):
                    self.wake()
                ready_before[node] = node.ready
                if node.leaving and not node.ready and not node.attempts and self._may_go(node, now):
                    self._remove(node)
                    ready_before.pop(node, None)

    def _cut_off(self, node: Node, now: float) -> None:
        """End what waits for a node that does not beat; but not what still gets something from it."""
        limit = node.heard.pulse.limit() if node.heard is not None else self.settings.silence_seconds_most
        for attempt in list(node.attempts):
            if node.stuck or attempt.quiet_for(now) > limit:
                attempt.cut("its engine is stuck" if node.stuck else "its heartbeats stopped")

    def _may_go(self, node: Node, now: float) -> bool:
        others = [other for other in self.all if other is not node and not other.backup]
        # While none of the others was ever ready, it is the only one by which the site's models are known.
        is_last = not any(other.models for other in others) and bool(node.models)
        return bool(others) and not is_last and now - node.answered_at > FORGET_SECONDS


class _NodeKey(httpx.Auth):
    """The key that nodes are shown, as its file has it now: nodes read theirs again when it is exchanged."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._key = path.read_text(encoding="utf-8").strip()

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        # One that cannot be read at the moment is the one before.
        with contextlib.suppress(OSError):
            self._key = self._path.read_text(encoding="utf-8").strip() or self._key
        request.headers["Authorization"] = f"Bearer {self._key}"
        yield request


def _tls(settings: GatewaySettings) -> ssl.SSLContext | bool:
    if settings.node_authority is None and settings.certificate is None:
        return True
    context = ssl.create_default_context(cafile=settings.node_authority)
    if settings.certificate is not None:
        context.load_cert_chain(settings.certificate, settings.private_key)
    return context


def _facts(entry: Mapping[str, Any]) -> words.ModelFacts:
    return words.ModelFacts(
        name=entry["id"],
        digest=entry["digest"],
        fingerprint=entry["system_fingerprint"],
        context_length=int(entry["max_model_len"]),
        vocabulary=int(entry["vocabulary"]),
        eos_ids=tuple(entry["eos_ids"]),
        slots=int(entry["slots"]),
        row_quantum=entry["row_quantum"],
        memory_bytes=0,
        has_chat=True,
        loaded_at=float(entry["created"]),
        embedding_size=int(entry.get("embedding_size", 0)),
        tokenizer=str(entry.get("tokenizer", "")),
    )
