# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Spans reach a collector over HTTP, and what goes wrong with it harms nobody."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from holdfast_inference.server.exchange import Exchange
from holdfast_inference.server.settings import Settings, Tracing
from holdfast_inference.server.spans import AT_ONCE, SpanSender
from starlette.datastructures import Headers

from .running import running, wait_until
from .scripted_engine import Script, ScriptedEngine

CHAT = {"model": "shop", "messages": [{"role": "user", "content": "SECRET"}]}
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


class Collector(ThreadingHTTPServer):
    """Keeps the spans that it is sent."""

    spans: list[dict[str, Any]]
    status = 200


class Handler(BaseHTTPRequestHandler):
    server: Collector

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert self.path == "/v1/traces"
        if self.server.status == 200:
            for resource in body["resourceSpans"]:
                self.server.spans += [span for scope in resource["scopeSpans"] for span in scope["spans"]]
        self.send_response(self.server.status)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002
        """Nothing on the terminal."""


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector(("127.0.0.1", 0), Handler)
    collector.spans = []
    thread = threading.Thread(target=collector.serve_forever, daemon=True)
    thread.start()
    yield collector
    collector.shutdown()
    collector.server_close()


def settings_for(collector: Collector, share: float) -> Any:
    tracing = Tracing(f"http://127.0.0.1:{collector.server_address[1]}", share, send_seconds=0.05)
    return lambda access: Settings(port=0, access=access, drain_seconds=0.1, tracing=tracing)


def attributes(span: dict[str, Any]) -> dict[str, Any]:
    return {entry["key"]: next(iter(entry["value"].values())) for entry in span["attributes"]}


def test_a_request_of_a_kept_trace_is_a_span(tmp_path: Path, collector: Collector) -> None:
    engine = ScriptedEngine()
    with running(tmp_path, lambda: engine, settings_for(collector, 0.0)) as server, server.client() as client:
        wait_until(lambda: client.get("/health/ready").status_code == 200)
        client.post("/v1/chat/completions", json=CHAT)
        client.post("/v1/chat/completions", json=CHAT, headers={"traceparent": f"00-{TRACE}-{PARENT}-00"})
        headers = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "shop=1"}
        client.post("/v1/chat/completions", json=CHAT, headers=headers)
        wait_until(lambda: len(collector.spans) >= 1)
        engine.script = Script(end="error")
        body = {**CHAT, "stream": True}
        client.post("/v1/chat/completions", json=body, headers={"traceparent": f"00-{TRACE}-{PARENT}-01"})
        wait_until(lambda: len(collector.spans) >= 2)
    well, badly = collector.spans
    assert (well["traceId"], well["parentSpanId"], well["name"]) == (TRACE, PARENT, "POST /v1/chat/completions")
    assert (well["traceState"], badly.get("traceState")) == ("shop=1", None)
    told = attributes(well)
    assert told["gen_ai.operation.name"] == "chat"
    assert told["gen_ai.request.model"] == "shop"
    assert told["gen_ai.usage.output_tokens"] == str(len(Script().text))
    assert told["gen_ai.response.finish_reasons"] == {"values": [{"stringValue": "stop"}]}
    assert int(well["startTimeUnixNano"]) <= int(well["events"][0]["timeUnixNano"]) <= int(well["endTimeUnixNano"])
    assert "status" not in well
    assert badly["status"] == {"code": 2, "message": "internal_error"}
    assert "SECRET" not in json.dumps(collector.spans)


def test_a_share_of_new_traces_is_kept(tmp_path: Path, collector: Collector) -> None:
    with running(tmp_path, ScriptedEngine, settings_for(collector, 1.0)) as server, server.client() as client:
        wait_until(lambda: client.get("/health/ready").status_code == 200)
        response = client.post("/v1/chat/completions", json=CHAT)
        # Sent at the latest when the server stops.
    assert [span["traceId"] for span in collector.spans] == [response.headers["traceresponse"].split("-")[1]]


def test_a_collector_that_fails_harms_nobody(tmp_path: Path, collector: Collector) -> None:
    collector.status = 500
    with running(tmp_path, ScriptedEngine, settings_for(collector, 1.0)) as server, server.client() as client:
        wait_until(lambda: client.get("/health/ready").status_code == 200)
        assert client.post("/v1/chat/completions", json=CHAT).status_code == 200
        wait_until(lambda: "holdfast_spans_dropped_total 1" in client.get("/metrics").text)
        assert client.post("/v1/chat/completions", json=CHAT).status_code == 200


def test_a_collector_that_hangs_does_not_hold_up_the_end() -> None:
    """Each batch of those that wait would take its time."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        sender = SpanSender(Tracing(f"http://127.0.0.1:{silent.getsockname()[1]}", 1.0, send_seconds=0.05))
        for _ in range(3 * AT_ONCE):
            sender.add(Exchange.begin(Headers({}), 1.0), "POST")

        async def stopped() -> None:
            sending = asyncio.create_task(sender.run())
            await asyncio.sleep(0)
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)

        asyncio.run(stopped())
    assert (sender.sent, sender.dropped) == (0, AT_ONCE)
