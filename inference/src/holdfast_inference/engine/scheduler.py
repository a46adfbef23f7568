# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""The loop of one model: takes requests in, lets them share steps, and hands tokens out.

A step holds one token (and guesses behind it) of each request that answers, and a chunk of the prompts that are still
being read, so that a long prompt slows the others down a little and stalls nobody. Requests come and go between steps.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from ..words import ModelStatus, Refused
from .costs import measure_costs
from .fairness import Fairness
from .guesses import MOST
from .prefixes import BLOCK, Prefixes
from .runner import Logits, Rows, Runner
from .work import Ending, Work

LOG = logging.getLogger(__name__)


_FIRST_GUESS = 256.0
"""How long answers are taken to become before any was seen."""


@dataclass(frozen=True)
class Limits:
    queue_tokens: int = 32768
    """Tokens that may be under way, answers counted as long as they lately were; more is refused with a time to
    wait."""
    guess_up_to: int = 2
    """Requests at a time up to which guesses are computed that are not free; beyond, they cost more than they save. 0:
    none at all."""


class Scheduler:
    def __init__(self, name: str, runner: Runner, prefixes: Prefixes, limits: Limits) -> None:
        self._name, self._runner, self._prefixes, self._limits = name, runner, prefixes, limits
        self._places = runner.plan.slots * runner.plan.context
        self._costs = measure_costs(runner)
        self._fair = Fairness()
        self._changed = threading.Condition()
        self._incoming: list[Work] = []
        self._waiting: list[Work] = []
        self._running: list[Work] = []
        self._closed = False
        self._draining = False
        self._arrivals = 0
        self._speed = 0.0
        self._usual = _FIRST_GUESS
        self._counts: Counter[str] = Counter()
        self._finished: Counter[str] = Counter()
        self._thread = threading.Thread(target=self._loop, name=f"engine-{name}", daemon=True)
        self._thread.start()

    # -- from any thread --------------------------------------------------------------------------------------------
    def submit(self, work: Work) -> None:
        with self._changed:
            if self._draining or self._closed:
                raise Refused("draining", f"{self._name} takes no more requests on this node.", retry_after=1)
            under_way = self._known()
            if any(other.request.id == work.request.id for other in under_way):
                message = f"A request with the id {work.request.id} is under way here."
                raise Refused("duplicate_request", message, param="id")
            self._check_room(work, under_way)
            self._arrivals += 1
            self._fair.arrived(work.client)
            work.order = self._arrivals
            self._incoming.append(work)
            self._changed.notify()

    def _check_room(self, work: Work, under_way: Sequence[Work]) -> None:
        """One client may fill the queue while it is alone. Who has less than an equal share of it finds room also
        when it is full, so that it holds at most twice its limit."""
        limit = self._limits.queue_tokens
        queued = sum(other.still_to_do(self._usual) for other in under_way)
        more = work.still_to_do(self._usual)
        over = queued + more - limit
        if not under_way or over <= 0:
            return
        own = sum(other.still_to_do(self._usual) for other in under_way if other.client == work.client)
        if own + more <= limit / len({work.client, *(other.client for other in under_way)}) < limit:
            return
        wait = min(30.0, max(1.0, over / max(self._speed, 1.0)))
        message = (
            f"{queued} tokens are under way, {own} of them for this client, and this request may add {more}; "
            f"{limit} is the limit. It was not taken."
        )
        raise Refused("queue_full", message, retry_after=round(wait, 1))

    def wake(self) -> None:
        """Something was cancelled."""
        with self._changed:
            self._changed.notify()

    def drain(self) -> None:
        with self._changed:
            self._draining = True

    def idle(self) -> bool:
        with self._changed:
            return not self._known()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def status(self) -> ModelStatus:
        with self._changed:
            filled = sum(work.computed for work in self._running)
            counts = self._counts
            return ModelStatus(
                running=len(self._running),
                waiting=len(self._waiting) + len(self._incoming),
                queued_tokens=sum(work.still_to_do(self._usual) for work in self._known()),
                queue_limit_tokens=self._limits.queue_tokens,
                tokens_per_second=self._speed,
                kv_use=filled / self._places,
                prefix_queries=self._prefixes.queries,
                prefix_hits=self._prefixes.hits,
                prefix_tokens_saved=self._prefixes.tokens_saved,
                speculated=counts["guessed"],
                accepted=counts["accepted"],
                steps=counts["steps"],
                prompt_tokens=counts["prompt"],
                completion_tokens=counts["completion"],
                finished=dict(self._finished),
                preempted=counts["preempted"],
            )

    def _known(self) -> list[Work]:
        return [*self._incoming, *self._waiting, *self._running]

    # -- the engine's thread ----------------------------------------------------------------------------------------
    def _loop(self) -> None:
        while self._wait_for_work():
            try:
                self._end_what_is_over()
                self._admit()
                if self._running:
                    self._step(list(self._running))
            except Exception as error:
                # Nobody may wait for a loop that is gone: those who run are told, and the loop goes on with the others.
                LOG.exception("%s: a step failed", self._name)
                for work in list(self._running):
                    self._leave(work, Ending("error", message=f"The step failed: {error}"))
        for work in self._known():
            self._leave(work, Ending("cancelled"))
        # Whoever still knows this loop must not keep the model: what is loaded instead may need its room.
        del self._runner
        self._prefixes = Prefixes(0)

    def _wait_for_work(self) -> bool:
        """Sleeps while there is nothing to compute; False when closed."""
        with self._changed:
            while not (self._closed or self._incoming or self._running or self._waiting):
                self._changed.wait()
            self._waiting += self._incoming
            self._incoming = []
            return not self._closed

    def _end_what_is_over(self) -> None:
        now = time.monotonic()
        for work in [*self._waiting, *self._running]:
            if work.ending is not None:
                self._leave(work, work.ending)
            else:
                self._end_from_outside(work, now)

    def _end_from_outside(self, work: Work, now: float) -> bool:
        if work.answer.cancelled:
            self._leave(work, Ending("cancelled"))
            return True
        if work.request.deadline is not None and now >= work.request.deadline:
            self._leave(work, Ending("deadline"))
            return True
        return False

    def _admit(self) -> None:
        free = sorted(set(range(self._runner.plan.slots)) - {work.slot for work in self._running})
        while self._waiting:
            if free:
                work, slot = self._fair.first(self._waiting), free.pop(0)
            else:
                change = self._fair.puts_out(self._waiting, self._running)
                if change is None:
                    return
                work, other = change
                slot = self._put_out(other)
            self._fair.took(work, self._waiting)
            work.sheltered = self._fair.is_overdue(work)
            work.slot = slot
            self._restore(work)
            work.leader = self._leader_of(work)
            with self._changed:
                self._waiting.remove(work)
                self._running.append(work)

    def _put_out(self, work: Work) -> int:
        """Takes its slot. It goes on later as if another node had begun it, with what it has drawn."""
        slot = work.slot
        self._remember(work, work.ids[: work.computed])
        self._runner.keep(slot, 0)
        self._counts["preempted"] += 1
        with self._changed:
            work.put_out()
            self._running.remove(work)
            self._waiting.append(work)
        return slot

    def _restore(self, work: Work) -> None:
        """Takes over what is known of the beginning."""
        work.computed = 0
        self._runner.keep(work.slot, 0)
        for block in self._prefixes.find(work.ids):
            self._runner.restore(work.slot, work.computed, block)
            work.computed = self._runner.lengths[work.slot]
        if not work.was_put_out:
            work.cached = work.read = work.computed

    def _leader_of(self, work: Work) -> Work | None:
        """Who is reading a beginning that this request could take over once it is read."""
        reading = [other for other in self._running if other.uncomputed() > 1 and not other.prompt_remembered]
        shared = {other: work.in_common(other) // BLOCK * BLOCK for other in reading} if self._prefixes.on else {}
        best = max(shared, key=lambda other: shared[other], default=None)
        return best if best is not None and shared[best] > work.computed else None

    def _follows(self, work: Work) -> bool:
        """Whether it still waits for another to read; when that is done, takes over what there is."""
        leader = work.leader
        if leader is None:
            return False
        if leader in self._running and not leader.prompt_remembered:
            return True
        work.leader = None
        if self._prefixes.known(work.ids) > work.computed:
            self._restore(work)
        return False

    def _step(self, works: Sequence[Work]) -> None:
        """One packed step for all that run."""
        began = time.monotonic()
        chunks = self._share(works)
        guesses = self._guess([work for work in chunks if len(chunks[work]) == work.uncomputed()], chunks)
        rows = []
        for work, chunk in chunks.items():
            more = guesses.get(work)
            rows.append(Rows(work.slot, chunk if more is None else chunk + more, 0 if more is None else 1 + len(more)))
        results = self._runner.step(rows)
        computed = 0
        for work, chunk, logits in zip(chunks, chunks.values(), results, strict=True):
            work.computed += len(chunk)
            done = len(chunk)
            read = min(work.computed, len(work.request.prompt_ids))
            self._counts["prompt"] += max(0, read - work.read)
            work.read = max(work.read, read)
            if work in guesses:
                self._remember_prompt(work)
                try:
                    done += self._draw(work, guesses[work], logits)
                except Exception as error:
                    LOG.exception("%s: request %s failed", self._name, work.request.id)
                    work.ending = Ending("error", message=str(error))
            computed += done
            self._fair.computed(work.client, done)
            if work.ending is not None:
                self._leave(work, work.ending)
            else:
                self._runner.keep(work.slot, work.computed)
        self._counts["steps"] += 1
        lately = computed / max(time.monotonic() - began, 1e-6)
        self._speed = lately if self._speed == 0 else 0.9 * self._speed + 0.1 * lately

    def _share(self, works: Sequence[Work]) -> dict[Work, list[int]]:
        """Those that answer have their token each; those that read share the chunk, in their order of rank."""
        answering = [work for work in works if work.uncomputed() == 1]
        reading = sorted((work for work in works if work not in answering), key=self._fair.rank)
        left = max(self._runner.plan.chunk - len(answering), 1)
        chunks = {work: work.pending(1) for work in answering}
        for work in reading:
            chunk = [] if self._follows(work) else work.pending(left)
            if chunk:
                chunks[work] = chunk
                left -= len(chunk)
        return chunks

    def _guess(self, drawing: Sequence[Work], chunks: dict[Work, list[int]]) -> dict[Work, list[int]]:
        """For those that will draw a token: what may follow it. Rows that the quantum asks for anyway are free."""
        most = MOST if self._limits.guess_up_to else 0
        paying = len(chunks) <= self._limits.guess_up_to
        total, expected = sum(map(len, chunks.values())), float(len(drawing))
        guesses: dict[Work, list[int]] = {}
        for work in drawing:
            free = -total % self._runner.quantum
            guess, chance = work.guess(MOST if paying else min(free, most), free)
            count, gain = self._costs.worth(total, expected, chance, len(guess))
            guesses[work] = guess[:count]
            total, expected = total + count, expected + gain
        return guesses

    def _draw(self, work: Work, guess: Sequence[int], logits: Logits) -> int:
        """Draws from the logits as long as the guesses come true; returns how many did."""
        if work.request.embed:
            work.embed(logits[0])
            return 0
        true = 0
        for index, row in enumerate(logits):
            token = work.draw(row)
            self._counts["completion"] += 1
            if work.ending is not None or index == len(guess) or token != guess[index]:
                break
            if work.answer.cancelled:
                break
            work.computed += 1
            true += 1
        work.guesser.learn(len(guess), true)
        self._counts["guessed"] += len(guess)
        self._counts["accepted"] += true
        return true

    def _remember_prompt(self, work: Work) -> None:
        """Once a prompt was read, the next one that begins like it need not be."""
        if work.prompt_remembered:
            return
        work.prompt_remembered = True
        self._remember(work, work.request.prompt_ids)

    def _remember(self, work: Work, ids: Sequence[int]) -> None:
        self._prefixes.add(ids, partial(self._runner.save, work.slot), work.request.pin_prefix)

    def _leave(self, work: Work, ending: Ending) -> None:
        if work.slot >= 0 and ending.reason != "error":
            # The next question of a conversation begins with this answer.
            self._remember(work, work.ids[: work.computed])
        if work.slot >= 0:
            self._runner.keep(work.slot, 0)
        with self._changed:
            for known in (self._incoming, self._waiting, self._running):
                if work in known:
                    known.remove(work)
                    self._fair.left(work.client)
            self._finished[ending.reason] += 1
            if ending.reason in ("stop", "length"):
                self._usual = 0.95 * self._usual + 0.05 * work.drawn
        work.finish(ending)
