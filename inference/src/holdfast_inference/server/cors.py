# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""Cross-origin requests of web pages (CORS): answered for the origins that were set, and for nobody else."""

from __future__ import annotations

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_ALLOWED_HEADERS = ", ".join(
    (
        *("Authorization", "Content-Type", "X-Api-Key", "X-Request-Id", "Traceparent", "Tracestate"),
        *("X-Holdfast-Deadline-Ms", "X-Holdfast-Ping-Ms"),
        # A gateway's: a page that lost its stream takes it up again.
        *("Last-Event-ID", "Idempotency-Key", "X-Holdfast-Event-Ids"),
    )
)
_SHOWN_HEADERS = "Retry-After, X-Request-Id, Traceresponse"


class Cors:
    """Asks for no key: a browser's preflight carries none."""

    def __init__(self, app: ASGIApp, origins: tuple[str, ...]) -> None:
        self._app = app
        self._origins = frozenset(origins)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        origin = Headers(scope=scope).get("origin") if scope["type"] == "http" else None
        if origin is None or origin not in self._origins:
            await self._app(scope, receive, send)
            return
        if scope["method"] == "OPTIONS" and "access-control-request-method" in Headers(scope=scope):
            allowed = {
                "Access-Control-Allow-Origin": origin,
                "Access-Control-Allow-Methods": "GET, POST",
                "Access-Control-Allow-Headers": _ALLOWED_HEADERS,
                "Access-Control-Max-Age": "600",
                "Vary": "Origin",
            }
            await Response(status_code=204, headers=allowed)(scope, receive, send)
            return

        async def send_allowed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Access-Control-Allow-Origin"] = origin
                headers["Access-Control-Expose-Headers"] = _SHOWN_HEADERS
                headers.add_vary_header("Origin")
            await send(message)

        await self._app(scope, receive, send_allowed)
