# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""The engine of this process: models by name, each with its own loop; loaded, exchanged and let go while others
answer."""

from __future__ import annotations

import logging
import threading
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import onnxruntime

from ..model_folder import BadModelFolder, Card, read_card
from ..words import ModelFacts, Refused, Request, Status
from .answer import LiveAnswer
from .exactness import find_quantum
from .grammar import GrammarError, Grammars
from .machine import granted_cores, granted_memory, instruction_class
from .packing import is_packed, packed, packed_key
from .plan import MIB, DoesNotFit, Plan, arranged_bytes, make_plan, taken
from .prefixes import Prefixes
from .runner import Providers, Rows, Runner
from .scheduler import Limits, Scheduler
from .text import ModelTokenizer
from .work import Work

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settings:
    """How a model is served."""

    slots: int = 4
    context: int | None = None
    """None: as long as the model was exported for."""
    chunk: int = 128
    """Tokens of prompts in one step: the most that those who answer wait for those who read."""
    prefix_bytes: int = 64 * MIB
    threads: int | None = None
    """None: the whole cores that were granted."""
    memory: int | None = None
    """Bytes for all models together. None: what was granted."""
    limits: Limits = field(default_factory=Limits)
    providers: Providers = field(default_factory=Providers)
    verify: bool = True
    """Compare every file with its SHA-256 before it is used."""
    packed: Path | None = None
    """Where weights are kept as this processor wants them, so that sessions share them; None: each has its own.
    Whoever can write there can change what the model says: it is for the engine's user only."""


@dataclass(frozen=True)
class _Served:
    facts: ModelFacts
    card: Card
    plan: Plan
    folder: Path
    settings: Settings
    tokenizer: ModelTokenizer
    grammars: Grammars | None
    scheduler: Scheduler
    shares: str | None
    """The key of its weights where they are mapped from a file that other sessions may map too."""

    def told(self) -> tuple[Plan, int, object]:
        """For `taken`."""
        return self.plan, arranged_bytes(self.card), self.shares or id(self)


class LocalEngine:
    """Implements `words.Engine`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loading = threading.Lock()
        self._served: dict[str, _Served] = {}
        self._leaving: list[_Served] = []
        self._before: dict[str, tuple[Path, Settings]] = {}
        self._exchanging: set[str] = set()
        self._draining = False

    # -- what words.Engine promises ---------------------------------------------------------------------------------
    def models(self) -> Mapping[str, ModelFacts]:
        with self._lock:
            return {name: served.facts for name, served in self._served.items()}

    def tokenizer(self, model: str) -> ModelTokenizer:
        return self._find(model).tokenizer

    def submit(self, request: Request) -> LiveAnswer:
        while True:
            served = self._find(request.model)
            try:
                return _submit(request, served)
            except Refused as refusal:
                with self._lock:
                    exchanged = self._served.get(request.model) is not served
                if refusal.code != "draining" or not exchanged:
                    raise
                # Another model took the name in between: that one is asked.

    def status(self) -> Status:
        with self._lock:
            served = dict(self._served)
            draining = self._draining
        return Status({name: model.scheduler.status() for name, model in served.items()}, draining)

    def drain(self) -> None:
        with self._lock:
            self._draining = True
            served = list(self._served.values())
        for model in served:
            model.scheduler.drain()

    def close(self) -> None:
        self.drain()
        with self._loading:
            with self._lock:
                gone = [*self._served.values(), *self._leaving]
                self._served.clear()
                self._leaving.clear()
            for model in gone:
                model.scheduler.close()

    # -- models come and go -----------------------------------------------------------------------------------------
    def activate(self, name: str, folder: Path, settings: Settings | None = None) -> ModelFacts:
        """Serves the model of a folder under a name. One that had the name before goes on until its requests
        are done; where both do not fit side by side, it is emptied first, and comes back if the new one turns
        out not to work. Waits; raises BadModelFolder or DoesNotFit, and then all is as it was."""
        asked = settings or Settings()
        with self._loading:
            card = read_card(folder, verify=asked.verify)
            with self._lock:
                old = self._served.get(name)
            try:
                new = self._load(name, folder, card, asked, beside=True)
            except DoesNotFit:
                if old is None:
                    raise
                self._plan(card, asked, without=old)
                new = self._exchange(name, folder, card, asked, old)
            with self._lock:
                self._served[name] = new
                if old is not None:
                    self._before[name] = (old.folder, old.settings)
                    self._leaving.append(old)
        if old is not None:
            self._let_go(old)
        return new.facts

    def roll_back(self, name: str) -> ModelFacts:
        """The model that had this name before, by the same way."""
        with self._lock:
            before = self._before.get(name)
        if before is None:
            raise Refused("unknown_model", f"No model had the name {name} before the present one.")
        return self.activate(name, *before)

    def folder(self, name: str) -> Path:
        """Where the model lies that has this name now."""
        return self._find(name).folder

    def remove(self, name: str) -> None:
        """Takes no more requests for it, and lets it go when those it has are done."""
        with self._lock:
            old = self._served.pop(name, None)
            if old is None:
                raise Refused("unknown_model", f"There is no model {name} here.")
            self._leaving.append(old)
        self._let_go(old)

    def _find(self, model: str) -> _Served:
        with self._lock:
            if self._draining:
                raise Refused("draining", "This node takes no more requests; another will.", retry_after=1)
            served = self._served.get(model)
            exchanging = model in self._exchanging
        if exchanging:
            raise Refused("draining", f"{model} is being exchanged on this node; another will answer.", retry_after=5)
        if served is None:
            known = ", ".join(sorted(self.models())) or "none"
            raise Refused("unknown_model", f"There is no model {model} here; there is: {known}.", param="model")
        return served

    def _plan(
        self, card: Card, settings: Settings, *, without: _Served | None = None, share: str | None = None
    ) -> Plan:
        """The plan within what is left beside the other models."""
        granted = settings.memory if settings.memory is not None else granted_memory()
        with self._lock:
            others = [model for model in [*self._served.values(), *self._leaving] if model is not without]
        return make_plan(
            card,
            shared=share is not None and any(model.shares == share for model in others),
            granted=granted - taken(model.told() for model in others),
            slots=settings.slots,
            context=settings.context,
            prefix=settings.prefix_bytes,
            chunk=settings.chunk,
        )

    def _exchange(self, name: str, folder: Path, card: Card, settings: Settings, old: _Served) -> _Served:
        """First the old model ends what it has, then the new one takes its room. Meanwhile requests are refused
        for a while."""
        LOG.warning("%s: the new model does not fit beside the old one, which is drained first", name)
        old.scheduler.drain()
        _wait_until_idle(old.scheduler)
        old.scheduler.close()
        with self._lock:
            del self._served[name]
            self._exchanging.add(name)
        try:
            return self._load(name, folder, card, settings, beside=False)
        except Exception as error:
            LOG.exception("%s: the new model does not work; the old one comes back", name)
            # Its frames hold what was loaded so far, and the old one needs that room.
            traceback.clear_frames(error.__traceback__)
            back = self._load(name, old.folder, old.card, old.settings, beside=False)
            with self._lock:
                self._served[name] = back
            raise
        finally:
            with self._lock:
                self._exchanging.discard(name)

    def _load(self, name: str, folder: Path, card: Card, settings: Settings, *, beside: bool) -> _Served:
        plan, graph, share = self._place(folder, card, settings)
        threads = settings.threads or granted_cores()
        try:
            runner = Runner(folder, card, plan, threads=threads, providers=settings.providers, graph=graph)
        except Exception as error:
            raise BadModelFolder(f"{folder}: onnxruntime does not take the graph: {error}") from error
        quantum = find_quantum(runner)
        _probe(runner, folder)
        tokenizer = ModelTokenizer(folder)
        exact = f"q{quantum}" if quantum else "inexact"
        facts = ModelFacts(
            name=name,
            digest=card.digest,
            fingerprint=f"{card.digest[:12]}-{onnxruntime.__version__}-{instruction_class()}-{exact}",
            context_length=plan.context,
            vocabulary=card.vocabulary,
            eos_ids=card.eos_ids,
            slots=plan.slots,
            row_quantum=quantum,
            memory_bytes=plan.total,
            has_chat=tokenizer.has_chat,
            loaded_at=time.time(),
            embedding_size=card.hidden if card.task == "embedding" else 0,
            tokenizer=tokenizer.digest,
        )
        told = f"row quantum {quantum}" if quantum else "NOT exact: answers may depend on load"
        LOG.info("%s: %s, %d threads, %s%s", name, plan.told(), threads, told, ", beside the others" if beside else "")
        scheduler = Scheduler(name, runner, Prefixes(settings.prefix_bytes), settings.limits)
        grammars = Grammars(tokenizer, card.vocabulary, card.eos_ids) if card.task == "text" else None
        return _Served(facts, card, plan, folder, settings, tokenizer, grammars, scheduler, share)

    def _place(self, folder: Path, card: Card, settings: Settings) -> tuple[Plan, Path | None, str | None]:
        """The plan, and where weights are shared, the graph that maps them and their key. What does not fit is
        refused before anything is made."""
        if settings.packed is None or settings.slots not in card.graphs or settings.providers != Providers():
            return self._plan(card, settings), None, None
        key = packed_key(card, settings.slots)
        plan = self._plan(card, settings, share=key if is_packed(settings.packed, key) else None)
        arranged = packed(settings.packed, folder, card, settings.slots)
        if arranged is None:
            return self._plan(card, settings), None, None
        return plan, arranged.graph, key

    def _let_go(self, old: _Served) -> None:
        """In the background: waits for its last request and frees its memory."""

        def wait() -> None:
            _wait_until_idle(old.scheduler)
            old.scheduler.close()
            with self._lock:
                if old in self._leaving:
                    self._leaving.remove(old)

        old.scheduler.drain()
        threading.Thread(target=wait, name=f"let-go-{old.facts.name}", daemon=True).start()


def _wait_until_idle(scheduler: Scheduler) -> None:
    while not scheduler.idle():
        time.sleep(0.01)


def _probe(runner: Runner, folder: Path) -> None:
    logits = runner.step([Rows(0, [0, 1, 2, 3], 4)])[0]
    sound = bool(np.isfinite(logits).all()) and float(logits.std()) > 0
    runner.keep(0, 0)
    if not sound:
        raise BadModelFolder(f"{folder}: the model computes nothing sensible on this machine; it was not activated.")


def _check(request: Request, served: _Served) -> None:
    """What would not come out well is refused before it costs anything."""
    context = served.plan.context
    if request.embed != (served.card.task == "embedding"):
        does = "draws text; it makes no embeddings" if request.embed else "makes embeddings; it draws no text"
        raise Refused("invalid_value", f"{request.model} {does}.", param="model")
    if len(request.prompt_ids) >= context:
        message = f"The prompt has {len(request.prompt_ids)} tokens; this model takes {context} with the answer."
        raise Refused("context_length_exceeded", message, param="messages")
    if len(request.prompt_ids) + len(request.forced_output_ids) > context:
        message = f"Prompt and forced beginning have more than the {context} tokens that this model takes."
        raise Refused("context_length_exceeded", message, param="forced_output_ids")
    known = range(served.card.vocabulary)
    for param, ids in (("prompt", request.prompt_ids), ("forced_output_ids", request.forced_output_ids)):
        wrong = next((token for token in ids if token not in known), None)
        if wrong is not None:
            raise Refused("invalid_value", f"{param} holds the id {wrong}; ids end at {known[-1]}.", param=param)
    if request.deadline is not None and request.deadline <= time.monotonic():
        raise Refused("deadline_exceeded", "The deadline of the request has passed already.", param="deadline")


def _submit(request: Request, served: _Served) -> LiveAnswer:
    _check(request, served)
    matcher = served.grammars.matcher(request.grammar) if served.grammars and request.grammar else None
    answer = LiveAnswer(request.id, served.scheduler.wake)
    try:
        work = Work(
            request,
            answer,
            tokenizer=served.tokenizer,
            vocabulary=served.card.vocabulary,
            eos_ids=served.card.eos_ids,
            context=served.plan.context,
            matcher=matcher,
        )
    except GrammarError as error:
        message = f"The forced beginning of the answer does not follow its grammar: {error}"
        raise Refused("invalid_value", message, param="forced_output_ids") from None
    served.scheduler.submit(work)
    return answer
