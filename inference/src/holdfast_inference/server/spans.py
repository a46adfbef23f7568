# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""Spans for OpenTelemetry, one a request, sent as OTLP over HTTP in its JSON form. They tell the model, counts and
times; texts are no part of them. What cannot be sent is dropped and counted: tracing never slows an answer down."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import httpx

from holdfast_inference import __version__
from holdfast_inference.server.exchange import Exchange
from holdfast_inference.server.settings import Tracing

log = logging.getLogger(__name__)

WAITING_MOST = 4096
AT_ONCE = 512
SERVER_KIND = 2
ERROR_STATUS = 2
_OPERATIONS = {"/v1/chat/completions": "chat", "/v1/completions": "text_completion", "/v1/embeddings": "embeddings"}


class SpanSender:
    """Keeps spans until the next batch goes out. Used from the event loop only."""

    def __init__(self, settings: Tracing) -> None:
        self._settings = settings
        self._waiting: deque[dict[str, Any]] = deque()
        self.sent = 0
        self.dropped = 0

    def add(self, exchange: Exchange, method: str) -> None:
        """A request is over."""
        if not (self._settings.endpoint and exchange.trace.sampled):
            return
        if len(self._waiting) >= WAITING_MOST:
            self.dropped += 1
            return
        self._waiting.append(span_of(exchange, method, time.time_ns()))

    async def run(self) -> None:
        """Send what there is from time to time, until cancelled; then once more."""
        async with httpx.AsyncClient(timeout=self._settings.send_seconds * 5, trust_env=False) as client:
            try:
                while True:
                    await asyncio.sleep(self._settings.send_seconds)
                    await self._send_all(client)
            except asyncio.CancelledError:
                await self._send_all(client)
                raise

    async def _send_all(self, client: httpx.AsyncClient) -> None:
        while self._waiting:
            spans = [self._waiting.popleft() for _ in range(min(AT_ONCE, len(self._waiting)))]
            url = f"{self._settings.endpoint.rstrip('/')}/v1/traces"
            try:
                (await client.post(url, json=envelope(self._settings.service, spans))).raise_for_status()
                self.sent += len(spans)
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                if not self.dropped:
                    log.warning("spans cannot be sent and are dropped", extra={"reason": str(error)})
                self.dropped += len(spans)
                # The others wait for the next time: a collector that hangs would hold up the end of the server.
                return


def envelope(service: str, spans: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Spans as a collector wants them."""
    scope = {"name": "holdfast_inference", "version": __version__}
    resource = {"attributes": _attributes({"service.name": service, "service.version": __version__})}
    return {"resourceSpans": [{"resource": resource, "scopeSpans": [{"scope": scope, "spans": list(spans)}]}]}


def span_of(exchange: Exchange, method: str, end: int) -> dict[str, Any]:
    """One request as a span that ends now."""
    attributes = {
        "http.request.method": method,
        "http.route": exchange.route,
        "http.response.status_code": exchange.status,
        "gen_ai.provider.name": "holdfast",
        "gen_ai.operation.name": _OPERATIONS.get(exchange.route, "generate_content"),
        "gen_ai.request.model": exchange.model,
        "gen_ai.usage.input_tokens": exchange.prompt_tokens,
        "gen_ai.usage.output_tokens": exchange.completion_tokens,
        "gen_ai.response.finish_reasons": exchange.finish_reasons,
        "error.type": exchange.error,
        "holdfast.request_id": exchange.id,
    }
    if not exchange.model:
        attributes = {name: value for name, value in attributes.items() if not name.startswith("gen_ai.")}
    begin = end - round((time.monotonic() - exchange.begun) * 1e9)
    span: dict[str, Any] = {
        "traceId": exchange.trace.trace_id,
        "spanId": exchange.trace.span_id,
        "name": f"{method} {exchange.route}".rstrip(),
        "kind": SERVER_KIND,
        "startTimeUnixNano": str(begin),
        "endTimeUnixNano": str(end),
        "attributes": _attributes({name: value for name, value in attributes.items() if value not in ("", [])}),
    }
    if exchange.trace.parent_id:
        span["parentSpanId"] = exchange.trace.parent_id
    if exchange.trace.state:
        span["traceState"] = exchange.trace.state
    if exchange.first_token_seconds is not None:
        at = begin + round(exchange.first_token_seconds * 1e9)
        span["events"] = [{"name": "first token", "timeUnixNano": str(at)}]
    if exchange.status >= 500 or (exchange.error and exchange.status < 400):
        span["status"] = {"code": ERROR_STATUS, "message": exchange.error}
    return span


def _attributes(values: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"key": name, "value": _value(value)} for name, value in values.items()]


def _value(value: Any) -> dict[str, Any]:
    if isinstance(value, list):
        return {"arrayValue": {"values": [_value(entry) for entry in value]}}
    if isinstance(value, int):
        # A string, since JSON's numbers do not hold all 64 bits.
        return {"intValue": str(value)}
    return {"stringValue": str(value)}
