# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""/admin/*: drain, take up again, activate another model, probe. On a socket of its own."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, runtime_checkable

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp

from holdfast_inference import words
from holdfast_inference.engine import local
from holdfast_inference.engine.plan import DoesNotFit
from holdfast_inference.golden import BadGolden, Question, read_golden
from holdfast_inference.model_folder import GOLDEN, BadModelFolder, read_card
from holdfast_inference.server import run
from holdfast_inference.server.errors import ApiError, invalid
from holdfast_inference.server.fields import Fields
from holdfast_inference.server.golden import is_right, sum_up
from holdfast_inference.server.golden_asking import ask_all
from holdfast_inference.server.loading import engine_settings
from holdfast_inference.server.service import Service

GOLDEN_SAMPLES = 20_000
"""In one run; what is beyond would be asked for hours."""


@runtime_checkable
class Exchanging(Protocol):
    """An engine that can change its models while it runs. Both methods wait."""

    def activate(self, name: str, folder: Path, settings: local.Settings | None = None) -> words.ModelFacts: ...

    def roll_back(self, name: str) -> words.ModelFacts: ...


@runtime_checkable
class Foldered(Protocol):
    """An engine whose models lie in folders of this machine."""

    def folder(self, name: str) -> Path: ...


async def drain(request: Request) -> ASGIApp:
    """Take nothing new. With hand_over_after, what still runs then ends with an error on which a gateway goes on."""
    service = run.service_of(request)
    fields = await run.fields_of(request)
    patience = fields.number("hand_over_after", -1.0, 0.0, 3600.0)
    service.drain()
    handed = 0
    if patience >= 0:
        await wait_for_works(service, patience)
        handed = service.hand_over()
    return JSONResponse({"draining": True, "under_way": len(service.works), "handed_over": handed})


async def wait_for_works(service: Service, seconds: float) -> None:
    """Wait until nothing is under way, or so long."""
    until = time.monotonic() + seconds
    while service.works and time.monotonic() < until:
        await asyncio.sleep(0.02)


async def resume(request: Request) -> ASGIApp:
    """Take requests again."""
    service = run.service_of(request)
    service.resume()
    return JSONResponse({"draining": False})


async def activate(request: Request) -> ASGIApp:
    """Serve another folder under a name; requests end on the model that they began with."""
    fields = await run.fields_of(request)
    name, folder = fields.required_text("model"), Path(fields.required_text("folder"))
    digest = fields.text("digest")
    service = run.service_of(request)
    engine, settings = _exchanging(service), engine_settings(service.settings.engine)
    if not folder.is_absolute():
        raise invalid("folder must be an absolute path.", "folder")

    def exchange() -> words.ModelFacts:
        found = read_card(folder, verify=False).digest
        if digest is not None and digest != found:
            raise ApiError(409, "wrong_digest", f"{folder} is {found}, not {digest[:80]}. Nothing was changed.")
        return engine.activate(name, folder, settings)

    return _exchanged(await _try(exchange))


async def roll_back(request: Request) -> ASGIApp:
    """Serve the model again that had the name before."""
    fields = await run.fields_of(request)
    name = fields.required_text("model")
    engine = _exchanging(run.service_of(request))
    return _exchanged(await _try(lambda: engine.roll_back(name)))


def _exchanging(service: Service) -> Exchanging:
    if service.engine is None:
        raise ApiError(503, "loading", "The models are still being loaded.", retry_after=5)
    if not isinstance(service.engine, Exchanging):
        raise ApiError(501, "not_supported", "This engine cannot change its models while it runs.")
    return service.engine


async def _try(exchange: Callable[[], words.ModelFacts]) -> words.ModelFacts:
    try:
        return await asyncio.to_thread(exchange)
    except (BadModelFolder, DoesNotFit) as error:
        raise ApiError(422, "model_not_usable", str(error)) from error


def _exchanged(facts: words.ModelFacts) -> JSONResponse:
    return JSONResponse({"model": facts.name, "digest": facts.digest, "fingerprint": facts.fingerprint})


async def probe(request: Request) -> ASGIApp:
    """Ask a golden set, greedily, and tell how many answers are right: the one that is given, or the model's own."""
    service = run.service_of(request)
    fields = await run.fields_of(request)
    facts = service.model(fields.text("model"))
    most = fields.integer("max_tokens", 1, facts.context_length)
    chat = fields.boolean("chat", facts.has_chat)
    entries = fields.array("samples", GOLDEN_SAMPLES)
    if entries:
        questions = [
            _question(Fields.of(entry, f"samples[{number}]"), chat=chat) for number, entry in enumerate(entries)
        ]
    else:
        questions = await _own_questions(service, facts)
    begun = time.monotonic()
    replies = await run.while_connected(request, ask_all(service, facts, questions, most))
    found = sum_up(facts, questions, replies, time.monotonic() - begun)
    service.golden[facts.name] = found
    wrong = [
        {"prompt": question.asked(), "wanted": question.answer, "got": reply.text}
        for question, reply in zip(questions, replies, strict=True)
        if not is_right(question, reply.text)
    ]
    return JSONResponse({**found.told(), "seconds": found.seconds, "first_wrong": wrong[:10]})


def _question(fields: Fields, *, chat: bool) -> Question:
    prompt, answer = fields.required_text("prompt"), fields.required_text("answer")
    return Question(answer, messages=({"role": "user", "content": prompt},)) if chat else Question(answer, prompt)


async def _own_questions(service: Service, facts: words.ModelFacts) -> list[Question]:
    """The golden set that came with the model."""
    engine = service.ready_engine()
    path = engine.folder(facts.name) / GOLDEN if isinstance(engine, Foldered) else None
    if path is None or not path.is_file():
        message = f"{facts.name} came without a golden set ({GOLDEN}), so samples are needed."
        raise invalid(message, "samples", "missing_required_parameter")
    try:
        questions = await asyncio.to_thread(read_golden, path)
    except BadGolden as error:
        raise ApiError(422, "golden_not_usable", str(error)) from error
    if len(questions) > GOLDEN_SAMPLES:
        raise ApiError(422, "golden_not_usable", f"{path} has more than {GOLDEN_SAMPLES} questions.")
    return questions
