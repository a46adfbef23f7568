# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""What operators and their tools look at: /health, /metrics, /metrics/summary."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.types import ASGIApp

from holdfast_inference.server import measures
from holdfast_inference.server.errors import ApiError
from holdfast_inference.server.exposition import CONTENT_TYPE, gauge
from holdfast_inference.server.run import service_of
from holdfast_inference.server.service import Service
from holdfast_inference.server.windows import WINDOW_SECONDS, Window

SHARES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


@runtime_checkable
class Exposing(Protocol):
    """An engine that has metrics of its own to tell."""

    def exposition(self) -> list[list[str]]: ...


async def live(_request: Request) -> ASGIApp:
    """The event loop turns."""
    return JSONResponse({"live": True})


async def ready(request: Request) -> ASGIApp:
    """Whether new work should come here."""
    reason = service_of(request).not_ready_because()
    if reason is not None:
        code = reason.partition(":")[0].replace(" ", "_")
        raise ApiError(503, code, f"Not ready: {reason}.", retry_after=1)
    return JSONResponse({"ready": True})


async def metrics(request: Request) -> ASGIApp:
    """Everything that is measured, for Prometheus."""
    service = service_of(request)
    status = service.status()
    groups = [*measures.own_names(service.measures, status), *measures.model_facts(dict(service.models()))]
    if service.settings.vllm_metrics:
        groups += measures.vllm_names(service.measures, status)
    groups += measures.open_telemetry_names(service.measures)
    if isinstance(service.engine, Exposing):
        groups += service.engine.exposition()
    gate = service.gate
    groups += [
        gauge("holdfast_tokens_in_flight", "Tokens that were let in and are not over.", [({}, float(gate.tokens))]),
        gauge("holdfast_admission_refused_total", "Requests that did not fit.", [({}, float(gate.refused))], "counter"),
    ]
    if service.settings.tracing.endpoint:
        sent, dropped = float(service.spans.sent), float(service.spans.dropped)
        groups.append(gauge("holdfast_spans_sent_total", "Spans that a collector took.", [({}, sent)], "counter"))
        groups.append(gauge("holdfast_spans_dropped_total", "Spans that none took.", [({}, dropped)], "counter"))
    if service.keys is not None:
        failed = float(service.keys.failed_reloads)
        name, text = "holdfast_key_reloads_failed_total", "Key files that were wrong."
        groups.append(gauge(name, text, [({}, failed)], "counter"))
    groups += measures.golden_names(service.golden_runs())
    return PlainTextResponse("\n".join(line for lines in groups for line in lines) + "\n", media_type=CONTENT_TYPE)


async def summary(request: Request) -> ASGIApp:
    """The last 60 seconds on one page of JSON."""
    return JSONResponse(summary_of(service_of(request)))


def summary_of(service: Service) -> dict[str, Any]:
    """What a person asks first: how fast, how full, how often wrong."""
    measured, status = service.measures, service.status()
    requests, failures = measured.recent_requests.count(), measured.recent_failures.count()
    golden, reason = service.golden_runs(), service.not_ready_because()
    digests = {name: facts.digest for name, facts in service.models().items()}
    return {
        "window_seconds": WINDOW_SECONDS,
        "ready": reason is None,
        "not_ready_because": reason,
        "requests": requests,
        "refused": measured.recent_refusals.count(),
        "failed": failures,
        "error_rate": failures / requests if requests else 0.0,
        "tokens_per_second": measured.recent_tokens.rate(),
        "time_to_first_token_seconds": _percentiles(measured.recent_first_token),
        "inter_token_seconds": _percentiles(measured.recent_between_tokens),
        "answer_seconds": _percentiles(measured.recent_answer_seconds),
        "tokens_in_flight": service.gate.tokens,
        "models": {
            name: {
                "digest": digests.get(name),
                "running": state.running,
                "waiting": state.waiting,
                "queued_tokens": state.queued_tokens,
                "queue_limit_tokens": state.queue_limit_tokens,
                "kv_use": state.kv_use,
            }
            for name, state in status.models.items()
        },
        "golden": golden[-1].told() if golden else None,
    }


def _percentiles(window: Window) -> dict[str, float | None]:
    return dict(zip(SHARES, window.percentiles(list(SHARES.values())), strict=True))
