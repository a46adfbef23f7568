# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""What lives as long as the server: the engine, the gate, the measures, and the work that is under way."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from holdfast_inference import words
from holdfast_inference.server.admission import Gate
from holdfast_inference.server.errors import ApiError
from holdfast_inference.server.exchange import Exchange
from holdfast_inference.server.golden import GoldenRun
from holdfast_inference.server.keys import KeyFile
from holdfast_inference.server.measures import Measures
from holdfast_inference.server.settings import Settings
from holdfast_inference.server.spans import SpanSender
from holdfast_inference.server.temperature import hottest
from holdfast_inference.server.work import Work

log = logging.getLogger(__name__)

NOTHING = words.Status({}, draining=False)
LONG_PROMPT = 4096
"""Tokens from which a prompt is given to the engine in a thread: some milliseconds of work."""


class ModelExchanged(Exception):  # noqa: N818 - it says what happened, and asking anew is the cure
    """Another model took the name while a request was on its way to the one before: all of it must be done anew."""


class Service:
    """The state behind all routes. Used from the event loop only; the engine does its work in threads of its own."""

    def __init__(self, settings: Settings, engine: words.Engine | None = None) -> None:
        self.settings = settings
        self.engine = engine
        """None while models are being loaded."""
        self.keys = KeyFile(settings.access.keys_file) if settings.access.keys_file else None
        self.measures = Measures()
        self.gate = Gate(settings.admission, self._tokens_per_second)
        self.spans = SpanSender(settings.tracing)
        self.works: set[Work] = set()
        self.draining = False
        self.golden: dict[str, GoldenRun] = {}
        """The last run of each model."""

    def _tokens_per_second(self) -> float:
        measured = sum(state.tokens_per_second for state in self.status().models.values())
        return measured or self.measures.recent_tokens.rate()

    def status(self) -> words.Status:
        """How full the engine is."""
        return self.engine.status() if self.engine else NOTHING

    def models(self) -> Mapping[str, words.ModelFacts]:
        """What is served, by name."""
        return self.engine.models() if self.engine else {}

    def ready_engine(self) -> words.Engine:
        """The engine, or a 503 while there is none to ask."""
        if self.engine is None:
            raise ApiError(503, "loading", "The models are still being loaded. Ask again shortly.", retry_after=5)
        if self.draining:
            raise ApiError(503, "draining", "This node takes nothing new. Ask another one.", retry_after=1)
        return self.engine

    def model(self, name: str | None) -> words.ModelFacts:
        """A model by its name; without a name, the only one there is."""
        engine = self.ready_engine()
        models = engine.models()
        if not models:
            # The only one gave way to the one that is being loaded.
            raise ApiError(503, "draining", "The model is being exchanged here. Ask another node.", retry_after=5)
        if name is None and len(models) == 1:
            return next(iter(models.values()))
        if name is None:
            message = "model is missing."
            raise ApiError(400, "missing_required_parameter", message, param="model")
        if name not in models:
            try:
                engine.tokenizer(name)
            except words.Refused as refused:
                # As long as another one takes its name, it is not unknown.
                if refused.code != "unknown_model":
                    raise ApiError.of(refused) from refused
            raise ApiError(404, "model_not_found", f"There is no model {name[:100]!r} here.", param="model")
        return models[name]

    def golden_runs(self) -> list[GoldenRun]:
        """The last run of each model that is still served, the latest last; what was found of another model under the
        same name says nothing of this one."""
        digests = {name: facts.digest for name, facts in self.models().items()}
        current = [found for name, found in self.golden.items() if digests.get(name) == found.digest]
        return sorted(current, key=lambda found: found.at)

    def not_ready_because(self) -> str | None:
        """Why no new work should come here, or None."""
        if self.engine is None:
            return "loading"
        if self.draining or self.engine.status().draining:
            return "draining"
        if not self.engine.models():
            return "no model"
        limit = self.settings.temperature_limit
        degrees = hottest(Path("/sys/class/thermal")) if limit is not None else None
        if limit is not None and degrees is not None and degrees > limit:
            return f"too hot: {degrees:g} degrees Celsius, the limit is {limit:g}"
        return None

    async def begin(
        self, exchange: Exchange, requests: Sequence[words.Request], facts: words.ModelFacts, cost: int
    ) -> Work:
        """Submit all requests of one call, or none. Whoever gets the work must close it. `facts` are those of the model
        for which the requests were made: an answer is never told to be another model's than the one that draws it."""
        engine = self.ready_engine()
        ticket = self.gate.enter(exchange.key.name, cost)
        answers: list[words.Answer] = []
        try:
            for request in requests:
                # A grammar is compiled when it comes in, and a long prompt is gone through to guess from it: both take
                # long enough to stall the other clients.
                stalls = request.grammar is not None or len(request.prompt_ids) >= LONG_PROMPT
                answers.append(await _submit_in_thread(engine, request) if stalls else engine.submit(request))
            now = engine.models().get(facts.name)
            if now is None or now.digest != facts.digest:
                raise ModelExchanged
        except BaseException as error:
            for answer in answers:
                answer.cancel()
            ticket.give_back()
            if isinstance(error, words.Refused):
                raise ApiError.of(error) from error
            raise

        def over(work: Work) -> None:
            self.works.discard(work)
            ticket.give_back()

        work = Work(answers, facts, exchange, self.measures, over)
        self.works.add(work)
        return work

    def drain(self) -> None:
        """Take nothing new; what was taken goes on."""
        self.draining = True
        log.info("draining", extra={"under_way": len(self.works)})

    def resume(self) -> None:
        """Take requests again after a drain that came to nothing."""
        self.draining = False
        log.info("taking requests again")

    def hand_over(self) -> int:
        """End what is under way with an error that tells a gateway to go on elsewhere. Says how much that was."""
        works = list(self.works)
        for work in works:
            work.hand_over()
        return len(works)


async def _submit_in_thread(engine: words.Engine, request: words.Request) -> words.Answer:
    submitted = asyncio.get_running_loop().run_in_executor(None, engine.submit, request)
    try:
        return await asyncio.shield(submitted)
    except asyncio.CancelledError:
        submitted.add_done_callback(_let_go)
        raise


def _let_go(submitted: asyncio.Future[words.Answer]) -> None:
    if not submitted.cancelled() and submitted.exception() is None:
        submitted.result().cancel()
