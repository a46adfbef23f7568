# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""All nodes of a site as one engine, so that the server in front of them is the one that stands in front of each."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from holdfast_inference import words
from holdfast_inference.engine.text import ModelTokenizer
from holdfast_inference.gateway.answer import Company, RelayedAnswer
from holdfast_inference.gateway.nodes import Node, room_of
from holdfast_inference.gateway.settings import GatewaySettings
from holdfast_inference.gateway.site import Site
from holdfast_inference.gateway.slices import follow_list
from holdfast_inference.server.exposition import gauge

LEAST_SPEED = 1.0


class SiteEngine:
    """Implements `words.Engine`. Make it in the event loop in which it is used."""

    def __init__(self, settings: GatewaySettings, tokenizers: Mapping[str, words.Tokenizer]) -> None:
        self._tokenizers = tokenizers
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()
        self.site = Site(settings, tokenizers)
        self.company = Company(self.site)
        self._list: asyncio.Task[None] | None = None
        self._draining = False

    @classmethod
    async def of(cls, settings: GatewaySettings) -> SiteEngine:
        """The engine, as soon as one of its nodes is ready. Until then it waits, however long that takes."""
        tokenizers: dict[str, words.Tokenizer] = {}
        for name, folder in settings.models.items():
            tokenizers[name] = await asyncio.to_thread(ModelTokenizer, folder)
        engine = cls(settings, tokenizers)
        await engine.start()
        return engine

    async def start(self) -> None:
        """Until there is anything to serve."""
        try:
            await self.site.start()
            self._list = asyncio.create_task(follow_list(self.site.settings, self.site.take_list))
            while not self.models():
                await self.site.wait(0.05)
        except BaseException:
            await self._stop()
            raise

    def models(self) -> Mapping[str, words.ModelFacts]:
        """What nodes serve and the gateway has a tokenizer for; the shortest context where they differ, and the
        slots of all whose load `status` tells."""
        found: dict[str, words.ModelFacts] = {}
        # Last known facts of nodes that are away too: requests wait for them a while.
        for node in sorted(self.site.all, key=lambda node: node.ready):
            for name, facts in node.models.items():
                other = found.get(name)
                if name in self._tokenizers and (other is None or facts.context_length <= other.context_length):
                    found[name] = facts
        slots: Counter[str] = Counter()
        for node in self._counted():
            slots.update({name: facts.slots for name, facts in node.models.items()})
        return {name: replace(facts, slots=slots[name] or facts.slots) for name, facts in found.items()}

    def _counted(self) -> list[Node]:
        return [node for node in self.site.all if node.ready and not node.backup]

    def tokenizer(self, model: str) -> words.Tokenizer:
        """The model's tokenizer, read from the gateway's own folder."""
        if model not in self._tokenizers:
            raise words.Refused("unknown_model", f"There is no model {model} here.", param="model")
        return self._tokenizers[model]

    def submit(self, request: words.Request) -> words.Answer:
        """Nothing is asked before the answer is read; a node's refusal is raised there."""
        if threading.get_ident() == self._thread:
            return self._submit(request)
        # What it looks at changes in the loop at any moment, so a thread that has a grammar to submit goes there.
        return asyncio.run_coroutine_threadsafe(self._submit_in_loop(request), self._loop).result()

    async def _submit_in_loop(self, request: words.Request) -> words.Answer:
        return self._submit(request)

    def _submit(self, request: words.Request) -> words.Answer:
        if self._draining:
            raise words.Refused("draining", "This gateway takes nothing new.", retry_after=1)
        if self.company.quarantine.holds(request.model, request.prompt_ids):
            message = "Nodes failed one after the other under this very prompt, so it is not tried for a while."
            raise words.Refused("invalid_value", message, param="prompt")
        self._make_room(request)
        answer = RelayedAnswer(request, self.company)
        if request.forced_output_ids:
            # Begun elsewhere, by the model that is told here; no other one may go on with it.
            answer.digest = self.models()[request.model].digest
        return answer

    def _make_room(self, request: words.Request) -> None:
        """Refuse what the site could not do with a node less, the lower in rank the sooner. What is alone always
        fits."""
        room = room_of(self.site.all)
        load = self.company.pending + (room.load if room else 0)
        if room is None or not load:
            return
        over = load + self.company.cost(request) - room.limit(request.priority)
        if over > 0:
            self.company.counts.shed += 1
            speed = sum(node.speed() for node in self.site.all if node.ready)
            message = f"{load} tokens are under way on the site, {over} too many for this one. Nothing was computed."
            raise words.Refused("queue_full", message, retry_after=over / max(speed, LEAST_SPEED))

    def status(self) -> words.Status:
        """The sum over all nodes that are ready, as they last told it."""
        return words.Status({name: self._status(name) for name in self.models()}, self._draining)

    def _status(self, model: str) -> words.ModelStatus:
        ready = self._counted()
        told = [node.told["models"][model] for node in ready if model in node.told.get("models", {})]

        def total(member: str) -> int:
            return sum(int(entry[member]) for entry in told)

        return words.ModelStatus(
            running=total("running"),
            waiting=total("waiting"),
            queued_tokens=total("queued_tokens"),
            queue_limit_tokens=total("queue_limit_tokens"),
            tokens_per_second=sum(node.speed() for node in ready),
            kv_use=max((float(entry["kv_use"]) for entry in told), default=0.0),
            prefix_queries=0,
            prefix_hits=0,
            prefix_tokens_saved=0,
            speculated=0,
            accepted=0,
            steps=0,
            prompt_tokens=0,
            completion_tokens=0,
            finished={},
        )

    def exposition(self) -> list[list[str]]:
        """What only a gateway has to tell, in Prometheus' format."""
        counts, hedging = self.company.counts, self.company.hedging
        # A pod that was made anew has the name of the one that leaves; a name may be told once.
        nodes = list({node.name: node for node in sorted(self.site.all, key=lambda node: not node.leaving)}.values())
        told = [
            ("moved", "Attempts that ended before their answer, so that another node was asked.", counts.moved),
            ("crashes", "Attempts whose node failed under them.", counts.crashes),
            ("events_dropped", "Events of an attempt that was over.", counts.dropped),
            ("quarantined", "Prompts that brought node after node down.", self.company.quarantine.total),
            ("quarantine_learned", "Prompts that other gateways found out.", self.company.quarantine.learned),
            ("shed", "Requests refused since the site could not do them with a node less.", counts.shed),
            ("hedged", "Answers that were given to a second node.", counts.hedged),
            ("hedges_won", "Of these, those that the second node began first.", counts.hedges_won),
            ("hedged_tokens", "Tokens that this was estimated to cost.", hedging.spent),
        ]
        lines = [
            gauge(f"holdfast_gateway_{name}_total", text, [({}, float(value))], "counter") for name, text, value in told
        ]
        of_nodes = [
            ("ready", "Whether work is sent there.", [float(node.ready) for node in nodes], "gauge"),
            ("beating", "Whether its heartbeats are heard.", [float(node.beating) for node in nodes], "gauge"),
            (
                "under_way",
                "Answers that it draws for this gateway.",
                [float(len(node.attempts)) for node in nodes],
                "gauge",
            ),
            ("tokens_total", "Tokens that came from it.", [float(node.drawn) for node in nodes], "counter"),
        ]
        for name, text, values, kind in of_nodes:
            labelled = [({"node": node.name}, value) for node, value in zip(nodes, values, strict=True)]
            lines.append(gauge(f"holdfast_gateway_node_{name}", text, labelled, kind))
        return lines

    def neighbours(self) -> list[Mapping[str, str]]:
        """One row a node, for people."""
        return [
            {
                "node": node.name,
                "state": node.told_state(),
                "heart": "beats" if node.beating else "not heard",
                "answers": str(len(node.attempts)),
                "queued tokens": str(node.load()),
                "models": ", ".join(f"{facts.name} {facts.digest[:12]}" for facts in node.models.values()),
            }
            for node in self.site.all
        ]

    def drain(self) -> None:
        """Take nothing new."""
        self._draining = True

    def close(self) -> None:
        """Stop looking at nodes. From a thread, while the loop still turns."""
        self._draining = True
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(10)

    async def _stop(self) -> None:
        if self._list is not None:
            self._list.cancel()
            await asyncio.gather(self._list, return_exceptions=True)
        await self.site.close()
