# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""One answer, drawn by whichever nodes are there; the client sees one stream, nothing twice and nothing missing."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx

from holdfast_inference import words
from holdfast_inference.gateway.attempt import TOO_LATE, Attempt, Failed
from holdfast_inference.gateway.blame import Suspicion
from holdfast_inference.gateway.counts import Counts
from holdfast_inference.gateway.hedging import Hedging
from holdfast_inference.gateway.nodes import Node, choose
from holdfast_inference.gateway.site import Site
from holdfast_inference.gateway.wire import BadWire, body_of, milliseconds_left
from holdfast_inference.server.trace import CURRENT

log = logging.getLogger(__name__)

WAIT_FOR_NODES = 0.05
LATE_SECONDS = 0.2


class Company:
    """What all answers of a gateway share."""

    def __init__(self, site: Site) -> None:
        settings = site.settings
        self.site = site
        self.quarantine = site.quarantine
        self.hedging = Hedging(settings.hedge_share, settings.hedge_least_seconds)
        self.counts = Counts()
        self.pending = 0
        """Tokens of answers that were promised and are not asked of a node yet."""
        self._assumed = settings.assumed_answer_tokens

    def cost(self, request: words.Request, drawn: int = 0) -> int:
        """Tokens that an answer of which so many are there may still take. Few become as long as they may, and a node
        counts them as they usually are: all that is allowed would fill a site with a handful of chats."""
        return len(request.prompt_ids) + min(request.max_tokens - drawn, self._assumed)


class RelayedAnswer:
    """Implements `words.Answer`, for an event loop only.

    Each attempt has an epoch. The first event of an attempt claims the answer, if nobody has it; from then on only
    what comes with this epoch counts, until the attempt is over.
    """

    def __init__(self, request: words.Request, company: Company) -> None:
        self._request = request
        self._company = company
        self._site = company.site
        self._drawn = list(request.forced_output_ids)
        self.digest: str | None = None
        self.fingerprint: str | None = None
        """Of the model and the machine that began it, from its first event on."""
        self._epochs = 0
        self._claimed: int | None = None
        self._suspicion = Suspicion()
        self._begun = time.monotonic()
        self._hedged = False
        self._running: set[asyncio.Task[None]] = set()
        self._ended = False
        self._events: asyncio.Queue[words.Event | words.Refused] = asyncio.Queue()
        self._relay: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._cancelled = False
        self._pending = company.cost(request)
        company.pending += self._pending

    @property
    def request_id(self) -> str:
        return self._request.id

    def __iter__(self) -> Iterator[words.Event]:
        raise NotImplementedError("Answers of a gateway are read from its event loop.")

    async def __aiter__(self) -> AsyncIterator[words.Event]:
        self._loop = asyncio.get_running_loop()
        self._relay = asyncio.create_task(self._run())
        try:
            while True:
                event = await self._events.get()
                if isinstance(event, words.Refused):
                    raise event
                yield event
                if isinstance(event, words.Finish):
                    return
        finally:
            self._no_longer_pending()
            self._relay.cancel()

    def cancel(self) -> None:
        self._cancelled = True
        self._no_longer_pending()
        if self._loop is not None and self._relay is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._relay.cancel)

    def _no_longer_pending(self) -> None:
        self._company.pending -= self._pending
        self._pending = 0

    async def _run(self) -> None:
        try:
            if self._cancelled:
                self._end("cancelled")
                return
            async with asyncio.timeout(self._seconds_left()):
                await self._try_nodes()
        except TimeoutError:
            self._end("deadline")
        except asyncio.CancelledError:
            self._end("cancelled")
            raise
        except words.Refused as refused:
            self._events.put_nowait(refused)
        except Exception:
            log.exception("relaying failed", extra={"request_id": self._request.id})
            self._end("error", "The gateway failed.")

    def _seconds_left(self) -> float | None:
        """A node ends its answer at the deadline; this is for one that does not."""
        deadline = self._request.deadline
        return None if deadline is None else deadline - time.monotonic() + LATE_SECONDS

    def _end(self, reason: words.FinishReason, message: str = "") -> None:
        if not self._ended:
            self._ended = True
            usage = words.Usage(len(self._request.prompt_ids), len(self._drawn))
            self._events.put_nowait(words.Finish(reason, "", usage, message=message))

    # -- from node to node --------------------------------------------------------------------------------------------
    async def _try_nodes(self) -> None:
        tried: set[Node] = set()
        waits: list[float] = []
        until = time.monotonic() + self._patience()
        while True:
            node = self._choose(tried)
            if node is None:
                if waits and not self._is_taken():
                    message = "All nodes have as much to do as they may take. Nothing was computed."
                    raise words.Refused("queue_full", message, retry_after=min(waits))
                if time.monotonic() >= until:
                    return self._give_up()
                await self._site.wait(WAIT_FOR_NODES)
                tried.clear()
                continue
            tried.add(node)
            known = len(self._drawn)
            try:
                return await self._draw(node)
            except Failed as failed:
                self._claimed = None
                if failed.retry_after is not None:
                    waits.append(failed.retry_after)
                if self._is_given_up():
                    return None
                if len(self._drawn) > known or self._suspicion.is_suspect:
                    # It got on, so the others may be asked anew; or it has to wait for one that can be risked.
                    tried, waits = {node}, []
                    until = time.monotonic() + self._patience()

    def _choose(self, tried: set[Node]) -> Node | None:
        suspicion = self._suspicion
        # Two sites that stand in for each other would pass on what neither can answer, without an end.
        nodes = [node for node in self._site.all if not (node.backup and self._request.backup)]
        if suspicion.blame >= self._site.settings.blames:
            # Some of these nodes were only silent, and may yet come back.
            return None
        return choose(nodes, self._request, tried, suspect=suspicion.is_suspect, like=self.fingerprint)

    def _patience(self) -> float:
        settings = self._site.settings
        return max(settings.suspect_seconds if self._suspicion.is_suspect else 0.0, settings.patience_seconds)

    def _is_taken(self) -> bool:
        """Whether it was begun somewhere, and so is no longer refused."""
        return bool(self._drawn) or self._suspicion.crashes > 0

    def _is_given_up(self) -> bool:
        settings, suspicion = self._site.settings, self._suspicion
        if suspicion.proven < settings.blames and suspicion.crashes < settings.crashes:
            return False
        self._to_quarantine()
        return True

    def _to_quarantine(self) -> None:
        self._site.put_in_quarantine(self._request.model, self._request.prompt_ids)
        failed = max(self._suspicion.crashes, self._suspicion.blame)
        message = f"{failed} nodes failed under this request; it is not tried again."
        log.error("a request is put in quarantine", extra={"request_id": self._request.id, "reason": message})
        self._end("error", message)

    def _give_up(self) -> None:
        # Where all are silent it is not for one request: the machine is busy, or this gateway is cut off.
        is_well = any(node.ready and not node.backup for node in self._site.all)
        if self._suspicion.blame >= self._site.settings.blames and is_well:
            self._to_quarantine()
            return
        if self._drawn:
            message = "No node is left that could go on with this answer. Ask again for a whole one."
            raise words.Refused("draining", message, retry_after=1)
        raise words.Refused("draining", "No node answers at the moment. Nothing was computed.", retry_after=1)

    # -- at one node, or at two ---------------------------------------------------------------------------------------
    async def _draw(self, node: Node) -> None:
        """Have a node go on, and a second one begin where the first is late and that is wanted."""
        running = self._running = {self._begin(node)}
        try:
            late = self._late_after()
            if late is not None:
                done, _ = await asyncio.wait(running, timeout=late)
                other = self._second(node) if self._claimed is None and not done else None
                if other is not None:
                    running.add(self._begin(other))
            failure: BaseException | None = None
            while running:
                done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                running -= done
                for task in done:
                    # One that was cancelled lost against the other.
                    failure = failure if task.cancelled() else task.exception()
                    if not task.cancelled() and failure is None:
                        return
            raise failure or Failed("it was ended")
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    def _late_after(self) -> float | None:
        wanted = self._request.priority >= self._site.settings.hedge_from_priority
        if not wanted or self._hedged or self._is_taken():
            return None
        return self._company.hedging.delay()

    def _second(self, first: Node) -> Node | None:
        """Another node for the same answer, if there is one to spare and the budget has it."""
        self._hedged = True
        others = [node for node in self._site.all if node is not first and node.ready and not node.backup]
        other = choose(others, self._request, ())
        if other is None or not self._company.hedging.spend(len(self._request.prompt_ids) + 1):
            return None
        self._company.counts.hedged += 1
        return other

    def _begin(self, node: Node) -> asyncio.Task[None]:
        """One node draws from where the answer is. It is known to be there at once, for whoever chooses next."""
        self._epochs += 1
        request = self._request
        attempt = Attempt(
            node,
            self._epochs,
            self._company.cost(request, len(self._drawn)),
            suspect=self._suspicion.is_suspect,
            take=self._take,
        )
        node.attempts.add(attempt)
        self._no_longer_pending()
        task = asyncio.create_task(self._attempt(attempt))
        task.add_done_callback(lambda _task: node.attempts.discard(attempt))
        return task

    async def _attempt(self, attempt: Attempt) -> None:
        settings = self._site.settings
        resumed, backup = self._is_taken(), attempt.node.backup
        body = body_of(self._request, self._drawn, attempt.epoch, self.digest, resumed=resumed, backup=backup)
        timeout = httpx.Timeout(settings.stall_seconds, connect=settings.connect_seconds, pool=None)
        try:
            await attempt.run(self._site.asking, body, self._headers(), timeout)
        except Failed as failed:
            self._note(attempt, failed)
            raise

    def _headers(self) -> dict[str, str]:
        headers = {"X-Holdfast-Ping-Ms": str(round(self._site.settings.stall_seconds * 200))}
        trace = CURRENT.get()
        if trace is not None:
            headers["traceparent"] = trace.header
            if trace.state:
                headers["tracestate"] = trace.state
        left = milliseconds_left(self._request)
        if left == 0:
            raise words.Refused("deadline_exceeded", TOO_LATE)
        return headers if left is None else {**headers, "X-Holdfast-Deadline-Ms": str(left)}

    def _take(self, attempt: Attempt, event: words.Event) -> None:
        """An event of an attempt, if it is the one whose events count."""
        if self._claimed is None:
            self._claim(attempt)
        if attempt.epoch != self._claimed or self._ended:
            self._company.counts.dropped += 1
            return
        if isinstance(event, words.Token):
            if event.index != len(self._drawn):
                raise BadWire(f"token {event.index} came where {len(self._drawn)} was due")
            self._drawn.append(event.id)
            if self._suspicion.is_suspect:
                self._site.wake()
            self._suspicion.progressed()
        else:
            self._ended = True
            self._company.hedging.note_served(len(self._request.prompt_ids) + len(self._drawn))
        self._events.put_nowait(event)

    def _claim(self, attempt: Attempt) -> None:
        self._claimed = attempt.epoch
        for task in self._running:
            if task is not attempt.task:
                task.cancel()
        self.digest = self.digest or attempt.digest
        self.fingerprint = self.fingerprint or attempt.fingerprint
        if not self._is_taken():
            self._company.hedging.note_first_token(time.monotonic() - self._begun)
        if self._hedged and attempt.epoch > 1 and not self._drawn:
            self._company.counts.hedges_won += 1

    def _note(self, attempt: Attempt, failed: Failed) -> None:
        node, counts = attempt.node, self._company.counts
        told: dict[str, Any] = {"node": node.name, "request_id": self._request.id, "drawn": len(self._drawn)}
        log.warning("an answer moves on", extra=told | {"reason": str(failed)})
        counts.moved += 1
        if isinstance(failed.__cause__, httpx.HTTPError) or failed.silence:
            self._site.lost(node, str(failed))
        # One that stops cuts what is late, and that is nobody's fault either.
        if failed.crash and not node.draining:
            counts.crashes += 1
            self._suspicion.crashed(
                node,
                drew=attempt.drew > 0,
                alone=node.is_alone(attempt),
                watched=node.is_watched(attempt),
                silence=failed.silence,
            )
            self._site.wake()
