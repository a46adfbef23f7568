# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""POST /v1/embeddings, for models that make them."""

from __future__ import annotations

import asyncio
import base64
import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp

from holdfast_inference import words
from holdfast_inference.server import run
from holdfast_inference.server.asked import deadline_of
from holdfast_inference.server.completions import Prompt, ids_of, read_texts
from holdfast_inference.server.errors import ApiError, invalid, too_long
from holdfast_inference.server.exchange import exchange_of
from holdfast_inference.server.fields import Fields
from holdfast_inference.server.keys import Key

MOST_INPUTS = 2048
AT_ONCE = 32
"""Inputs of one call that are under way together: enough to fill the slots, few enough for the engine's queue."""


@dataclass(frozen=True)
class EmbeddingAsked:
    """A request for embeddings that was understood."""

    model: str
    inputs: list[Prompt]
    packed: bool
    """As base64 of little-endian float32 instead of numbers."""
    dimensions: int | None


def read_embedding(fields: Fields) -> EmbeddingAsked:
    """Understand a request, or say which member is wrong."""
    fields.known("user")
    inputs = read_texts(fields, "input", MOST_INPUTS)
    if not all(inputs):
        raise invalid("input holds an empty text.", "input")
    packed = fields.choice("encoding_format", ("float", "base64"), "float") == "base64"
    dimensions = fields.integer("dimensions", 1, 2**16)
    return EmbeddingAsked(fields.required_text("model"), inputs, packed, dimensions)


async def embeddings(request: Request) -> ASGIApp:
    """The vector of each input, in the order of the inputs."""
    service = run.service_of(request)
    fields = await run.fields_of(request)
    asked = read_embedding(fields)
    run.note_unknown(request, fields)
    facts = service.model(asked.model)
    exchange = exchange_of(request)
    exchange.model = facts.name
    if not facts.embedding_size:
        message = f"{facts.name} draws text; it makes no embeddings."
        raise ApiError(404, "model_not_found", message, param="model")
    if (asked.dimensions or 0) > facts.embedding_size:
        message = f"dimensions is {asked.dimensions}; vectors of {facts.name} have {facts.embedding_size}."
        raise invalid(message, "dimensions")
    tokenizer = service.ready_engine().tokenizer(facts.name)
    prompts = [await _ids(text, tokenizer, facts) for text in asked.inputs]
    deadline = deadline_of(request.headers, service.settings.limits)
    made = [_request(prompt, facts, exchange.key, deadline) for prompt in prompts]
    ends: dict[int, words.Finish] = {}
    for begin in range(0, len(made), AT_ONCE):
        group = made[begin : begin + AT_ONCE]
        work = await run.begin(request, group, facts, len(group))
        for number, event in await run.collect(request, work):
            if isinstance(event, words.Finish):
                ends[begin + number] = event
    return await told(facts, asked, [ends[number] for number in range(len(made))])


async def _ids(text: Prompt, tokenizer: words.Tokenizer, facts: words.ModelFacts) -> list[int]:
    ids = await ids_of(text, tokenizer, facts, "input")
    if len(ids) >= facts.context_length:
        raise too_long(facts.context_length, f"an input has {len(ids)} and must have fewer", "input")
    return ids


def _request(ids: Sequence[int], facts: words.ModelFacts, key: Key, deadline: float) -> words.Request:
    return words.Request(
        id=f"emb-{uuid.uuid4().hex}",
        model=facts.name,
        prompt_ids=tuple(ids),
        max_tokens=1,
        priority=key.priority,
        client=key.name,
        deadline=deadline,
        embed=True,
    )


async def told(facts: words.ModelFacts, asked: EmbeddingAsked, ends: Sequence[words.Finish]) -> Response:
    """The answer, written vector by vector: millions of numbers at once would stall the other clients."""
    data = []
    for index, end in enumerate(ends):
        entry = {"object": "embedding", "index": index, "embedding": _vector(end.vector or (), asked)}
        data.append(json.dumps(entry, separators=(",", ":")))
        await asyncio.sleep(0)
    tokens = sum(end.usage.prompt for end in ends)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    rest = json.dumps({"model": facts.name, "usage": usage}, separators=(",", ":"))
    return Response(f'{{"object":"list","data":[{",".join(data)}],{rest[1:]}', media_type="application/json")


def _vector(vector: Sequence[float], asked: EmbeddingAsked) -> list[float] | str:
    """The first numbers of a vector are one of their own, where the model was taught so, once they have length 1."""
    numbers = np.array(vector, np.float64)[: asked.dimensions]
    shown = (numbers / max(float(np.sqrt((numbers**2).sum())), 1e-12)).astype("<f4")
    return base64.b64encode(shown.tobytes()).decode("ascii") if asked.packed else [float(number) for number in shown]
