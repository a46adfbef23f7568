# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""The outermost layer: gives a request its identity, turns whatever is raised into a response, logs and counts."""

from __future__ import annotations

import asyncio
import logging
import time

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from holdfast_inference.server.body import ClientGone
from holdfast_inference.server.errors import ApiError, is_foreseen, told_of
from holdfast_inference.server.exchange import Exchange
from holdfast_inference.server.service import Service
from holdfast_inference.server.trace import CURRENT

log = logging.getLogger("holdfast.request")

LINGER_BYTES = 32 * 1024 * 1024
LINGER_SECONDS = 5.0
_QUIET_PATHS = frozenset({"/health/live", "/health/ready", "/metrics", "/metrics/summary", "/status", "/v1/models"})


class Outermost:
    """Nothing that is raised within goes further, unless half a response is out: then the connection is cut."""

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app = app
        self._service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = Exchange.begin(Headers(scope=scope), self._service.settings.tracing.share)
        CURRENT.set(exchange.trace)
        scope.setdefault("state", {}).update(exchange=exchange, service=self._service)
        if len(scope["path"]) > 1 and scope["path"].endswith("/"):
            # A redirect would lose the key with some clients.
            scope = {**scope, "path": scope["path"].rstrip("/") or "/"}
        answered = _Answered(exchange, receive, send)
        try:
            await self._app(scope, answered.receive, answered.send)
        except ClientGone:
            exchange.client_gone = True
            if answered.started:
                _cut(scope)
        except asyncio.CancelledError:
            # At the end of a drain. What has begun was told so in its stream; the rest would get a bare 500.
            if not answered.started:
                told = ApiError(503, "stopping", "The server stops. Ask another one.", retry_after=1)
                exchange.error = told.code
                await told.response()(scope, answered.receive, answered.send)
            raise
        except Exception as error:
            told = told_of(error)
            if not is_foreseen(error):
                log.exception("a request failed", extra={"request_id": exchange.id})
            exchange.error = told.code
            if answered.started:
                _cut(scope)
                raise
            await answered.refuse(told, scope)
        finally:
            exchange.route = _route_of(scope)
            self._service.measures.count_exchange(exchange)
            if exchange.route not in _QUIET_PATHS:
                self._service.spans.add(exchange, scope["method"])
            _log(exchange, scope)


def _cut(scope: Scope) -> None:
    """Drop the connection with what is still unsent, else a client that does not read would hold it open."""
    abort = scope["state"].get("abort")
    if abort is not None:
        abort()


def _route_of(scope: Scope) -> str:
    route = scope.get("route")
    return str(getattr(route, "path", "")) if route is not None else ""


class _Answered:
    """The two callables of a request, and what went through them."""

    def __init__(self, exchange: Exchange, receive: Receive, send: Send) -> None:
        self._exchange = exchange
        self._receive = receive
        self._send = send
        self._body_is_read = False
        self.started = False

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] != "http.request" or not message.get("more_body", False):
            self._body_is_read = True
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            self._exchange.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers["X-Request-Id"] = self._exchange.id
            headers["Traceresponse"] = self._exchange.trace.header
        await self._send(message)

    async def refuse(self, error: ApiError, scope: Scope) -> None:
        """Send an error; and read on for a while what the client still sends, since a connection that is closed over
        unread data is reset, and the client never sees why."""
        response: Response = error.response()
        if self._body_is_read or not _has_body(scope):
            await response(scope, self.receive, self.send)
            return
        response.headers["Connection"] = "close"
        head = {"type": "http.response.start", "status": response.status_code, "headers": response.raw_headers}
        await self.send(head)
        await self.send({"type": "http.response.body", "body": bytes(response.body), "more_body": True})
        if not _waits_for_continue(scope) and error.code != "body_timeout":
            await self._discard()
        await self.send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _discard(self) -> None:
        left = LINGER_BYTES
        try:
            async with asyncio.timeout(LINGER_SECONDS):
                while left > 0 and not self._body_is_read:
                    left -= len((await self.receive()).get("body", b""))
        except TimeoutError:
            return


def _has_body(scope: Scope) -> bool:
    headers = Headers(scope=scope)
    return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers


def _waits_for_continue(scope: Scope) -> bool:
    return Headers(scope=scope).get("expect", "").lower() == "100-continue"


def _log(exchange: Exchange, scope: Scope) -> None:
    seconds = time.monotonic() - exchange.begun
    known = {
        "request_id": exchange.id,
        "trace_id": exchange.trace.trace_id,
        "span_id": exchange.trace.span_id,
        "parent_id": exchange.trace.parent_id,
        "key": exchange.key.name,
        "method": scope["method"],
        "route": exchange.route,
        "status": exchange.status,
        "milliseconds": round(seconds * 1000, 3),
        "model": exchange.model,
        "first_token_milliseconds": round(exchange.first_token_seconds * 1000, 3)
        if exchange.first_token_seconds
        else None,
        "prompt_tokens": exchange.prompt_tokens,
        "cached_tokens": exchange.cached_tokens,
        "completion_tokens": exchange.completion_tokens,
        "finish_reasons": exchange.finish_reasons,
        "error": exchange.error,
        "client_gone": exchange.client_gone,
        "unknown_fields": exchange.unknown_fields,
    }
    level = logging.DEBUG if exchange.route in _QUIET_PATHS and exchange.status < 400 else logging.INFO
    log.log(
        level, "request", extra={name: value for name, value in known.items() if value not in (None, "", 0, [], False)}
    )
