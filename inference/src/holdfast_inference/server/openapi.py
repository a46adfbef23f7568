# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""GET /openapi.json: the API for programs that read about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp

from holdfast_inference import __version__
from holdfast_inference.server.guard import OPEN_PATHS
from holdfast_inference.server.openapi_schemas import SCHEMAS, reference

JSON, EVENTS = "application/json", "text/event-stream"
_REFUSALS = {
    "400": "The request says something impossible.",
    "401": "The key is missing or wrong.",
    "403": "The key may not ask this.",
    "404": "There is no such model or path.",
    "405": "The path does not know this method; see Allow.",
    "408": "The time that the request was given is over.",
    "409": "The request is under way, or was begun with another model.",
    "413": "The body is too large.",
    "415": "The body is compressed.",
    "422": "What is asked for is not possible here.",
    "429": "Too much work; see Retry-After.",
    "500": "The server failed.",
    "503": "Loading or draining; see Retry-After.",
}


@dataclass(frozen=True)
class _Operation:
    method: str
    path: str
    summary: str
    answer: str = "Object"
    body: str = ""
    streams: bool = False
    media: str = JSON


_V2 = "/v2/models/{model}"
_VERSION = _V2 + "/versions/{version}"
_OF_A_MODEL = tuple(
    operation
    for path in (_V2, _VERSION)
    for operation in (
        _Operation("get", path, "What a model takes and gives"),
        _Operation("get", f"{path}/ready", "Whether a model answers"),
        _Operation("post", f"{path}/generate", "A text in, a text out", "V2GenerateResponse", "V2GenerateRequest"),
        _Operation(
            "post", f"{path}/generate_stream", "A text in, a stream of texts out", "", "V2GenerateRequest", True, EVENTS
        ),
        _Operation("post", f"{path}/infer", "A text in, a text out, as tensors", "V2InferResponse", "V2InferRequest"),
    )
)
OPERATIONS = (
    _Operation("post", "/v1/chat/completions", "Answer a chat", "ChatResponse", "ChatRequest", True),
    _Operation("post", "/v1/completions", "Go on with texts", "CompletionResponse", "CompletionRequest", True),
    _Operation(
        "post", "/generate", "Answer a prompt, by token ids if need be", "GenerateResponse", "GenerateRequest", True
    ),
    _Operation("post", "/v1/embeddings", "The vectors of texts", "EmbeddingResponse", "EmbeddingRequest"),
    _Operation("get", "/v1/models", "All models"),
    _Operation("get", "/v1/models/{model}", "One model"),
    _Operation("get", "/v2", "What this server is"),
    *_OF_A_MODEL,
    _Operation("get", "/health/live", "Whether the process lives"),
    _Operation("get", "/health/ready", "Whether new work should come here"),
    _Operation("get", "/v2/health/live", "Whether the process lives"),
    _Operation("get", "/v2/health/ready", "Whether new work should come here"),
    _Operation("get", "/metrics", "Metrics for Prometheus", "", media="text/plain"),
    _Operation("get", "/metrics/summary", "The last 60 seconds"),
    _Operation("get", "/status", "A page for people", "", media="text/html"),
    _Operation("get", "/openapi.json", "This document"),
)


def document() -> dict[str, Any]:
    """The whole document."""
    paths: dict[str, dict[str, Any]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _described(operation)
    schemes = {
        "bearer": {"type": "http", "scheme": "bearer"},
        "header": {"type": "apiKey", "in": "header", "name": "x-api-key"},
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "Holdfast inference", "version": __version__},
        "security": [{name: []} for name in schemes],
        "paths": paths,
        "components": {"schemas": SCHEMAS, "securitySchemes": schemes},
    }


def _described(operation: _Operation) -> dict[str, Any]:
    described: dict[str, Any] = {"summary": operation.summary, "responses": _responses(operation)}
    names = [part[1:-1] for part in operation.path.split("/") if part.startswith("{")]
    if names:
        described["parameters"] = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
            for name in names
        ]
    if operation.body:
        described["requestBody"] = {"required": True, "content": {JSON: {"schema": reference(operation.body)}}}
    if operation.path in OPEN_PATHS:
        described["security"] = []
    return described


def _responses(operation: _Operation) -> dict[str, Any]:
    content: dict[str, Any] = {}
    if operation.answer:
        content[operation.media] = {"schema": reference(operation.answer)}
    elif operation.media != JSON:
        content[operation.media] = {"schema": {"type": "string"}}
    if operation.streams:
        content[EVENTS] = {"schema": {}}
    error = {JSON: {"schema": reference("Error")}}
    refusals = {status: {"description": text, "content": error} for status, text in _REFUSALS.items()}
    return ({"200": {"description": operation.summary, "content": content}} if content else {}) | refusals


async def openapi(_request: Request) -> ASGIApp:
    """The document."""
    return JSONResponse(document())
