# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""What every dialect does with its requests: submit them, then stream or collect, and stop when the client is gone."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.types import ASGIApp

from holdfast_inference import words
from holdfast_inference.server.body import ClientGone, read_body
from holdfast_inference.server.errors import ApiError
from holdfast_inference.server.exchange import exchange_of
from holdfast_inference.server.fields import Fields
from holdfast_inference.server.service import ModelExchanged, Service
from holdfast_inference.server.stream import EventStream, frame, until_disconnect
from holdfast_inference.server.work import Numbered, Work

log = logging.getLogger(__name__)

Result = TypeVar("Result")

Answering = Callable[[Request], Awaitable[ASGIApp]]

EXCHANGES_MOST = 3
PING_SECONDS_LEAST = 0.02
THREAD_FROM = 16_000
"""Characters from which text is made into ids in a thread: fewer take less time than the way there and back."""


def service_of(request: Request) -> Service:
    """The state behind the routes."""
    service: Service = request.scope["state"]["service"]
    return service


async def fields_of(request: Request) -> Fields:
    """The members of a request's body, which is read once, however often it is asked for."""
    state = request.scope["state"]
    if "body" not in state:
        state["body"] = await read_body(request, service_of(request).settings.limits)
    return Fields.of(state["body"], "")


def anew_if_exchanged(answer: Answering) -> Answering:
    """A request is answered from its beginning where its model was exchanged under it; nothing was told of it yet."""

    async def answered(request: Request) -> ASGIApp:
        for _ in range(EXCHANGES_MOST):
            try:
                return await answer(request)
            except ModelExchanged:
                log.info("a model was exchanged under a request", extra={"request_id": exchange_of(request).id})
        raise ApiError(503, "draining", "The model is being exchanged.", retry_after=1)

    return answered


def note_unknown(request: Request, fields: Fields) -> None:
    """Count the members that nobody asked for."""
    exchange_of(request).unknown_fields = len(fields.unknown())


async def make_ids(size: int, make: Callable[[], list[int]]) -> list[int]:
    """Ids of a text of this size, without stalling the other clients. What the model cannot take is a refusal."""
    try:
        if size >= THREAD_FROM:
            return await asyncio.to_thread(make)
        # Of many texts, the others have their turn between one and the next.
        await asyncio.sleep(0)
        return make()
    except words.Refused as refused:
        raise ApiError.of(refused) from refused


async def begin(request: Request, requests: Sequence[words.Request], facts: words.ModelFacts, prompts: int = 1) -> Work:
    """Submit a call's requests, of which the first of each prompt counts its prompt."""
    service = service_of(request)
    each = len(requests) // prompts
    cost = sum(service.gate.cost(len(first.prompt_ids), first.max_tokens, each) for first in requests[::each])
    exchange = exchange_of(request)
    if service.settings.log_prompts:
        tokenizer = service.ready_engine().tokenizer(requests[0].model)
        texts = [tokenizer.decode(first.prompt_ids, special=True) for first in requests[::each]]
        log.info("prompts", extra={"request_id": exchange.id, "prompts": texts})
    return await service.begin(exchange, requests, facts, cost)


async def collect(request: Request, work: Work) -> list[Numbered]:
    """All events of a call that is not streamed. It is ended when the client goes."""

    async def read() -> list[Numbered]:
        return [numbered async for numbered in work.events()]

    try:
        return await while_connected(request, read())
    finally:
        work.close()


async def while_connected(request: Request, wanted: Awaitable[Result]) -> Result:
    """The result of something, or ClientGone as soon as nobody waits for it. The body must have been read."""
    reader = asyncio.ensure_future(wanted)
    watcher = asyncio.create_task(until_disconnect(request.receive))
    try:
        await asyncio.wait({reader, watcher}, return_when=asyncio.FIRST_COMPLETED)
        if not reader.done():
            raise ClientGone
        return reader.result()
    finally:
        for task in (reader, watcher):
            task.cancel()
        await asyncio.gather(reader, watcher, return_exceptions=True)


def stream(
    request: Request,
    work: Work,
    chunks: Callable[[int, words.Event], Iterable[dict[str, Any]]],
    end: Callable[[], bytes],
) -> EventStream:
    """A stream of what `chunks` makes of each event, then what `end` says."""

    async def frames() -> AsyncGenerator[bytes, None]:
        async for number, event in work.events():
            told = b"".join(frame(chunk) for chunk in chunks(number, event))
            if told:
                yield told
        yield end()

    exchange, settings = exchange_of(request), service_of(request).settings

    def failed(error: ApiError) -> None:
        exchange.error = error.code

    return EventStream(
        frames(),
        work.close,
        failed,
        ping_seconds=_ping_seconds(request, settings.ping_seconds),
        write_seconds=settings.write_seconds,
    )


def _ping_seconds(request: Request, usual: float) -> float:
    """A gateway asks for pings more often than usual, to notice soon that a node is dead."""
    wanted = request.headers.get("x-holdfast-ping-ms", "")
    if not (wanted.isascii() and wanted.isdecimal()):
        return usual
    return min(usual, max(int(wanted[:6]) / 1000, PING_SECONDS_LEAST))
