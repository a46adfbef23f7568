# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""GET /v1/models."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp

from holdfast_inference import words
from holdfast_inference.server import run
from holdfast_inference.server.errors import ApiError


def _shape(facts: words.ModelFacts) -> dict[str, Any]:
    told = {
        "id": facts.name,
        "object": "model",
        "created": int(facts.loaded_at),
        "owned_by": "holdfast",
        "max_model_len": facts.context_length,
        "digest": facts.digest,
        "vocabulary": facts.vocabulary,
        "eos_ids": facts.eos_ids,
        "slots": facts.slots,
        "row_quantum": facts.row_quantum,
        "system_fingerprint": facts.fingerprint,
        "tokenizer": facts.tokenizer,
    }
    return {**told, "embedding_size": facts.embedding_size} if facts.embedding_size else told


async def models(request: Request) -> ASGIApp:
    """All models."""
    served = run.service_of(request).models()
    return JSONResponse({"object": "list", "data": [_shape(facts) for facts in served.values()]})


async def model(request: Request) -> ASGIApp:
    """One model."""
    name = request.path_params["model"]
    facts = run.service_of(request).models().get(name)
    if facts is None:
        raise ApiError(404, "model_not_found", f"There is no model {name[:100]!r} here.", param="model")
    return JSONResponse(_shape(facts))
