# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""POST /v1/completions."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp

from holdfast_inference import words
from holdfast_inference.server import run
from holdfast_inference.server.asked import Asked, deadline_of, read_asked, requests_of
from holdfast_inference.server.completion_shapes import CompletionChunks, Form, completion_object
from holdfast_inference.server.errors import invalid, unsupported
from holdfast_inference.server.exchange import exchange_of
from holdfast_inference.server.fields import Fields, ids_in
from holdfast_inference.server.settings import Limits
from holdfast_inference.server.shapes import Identity
from holdfast_inference.server.stream import end_of

MAX_TOKENS = 16
"""What an absent max_tokens means here, as in OpenAI's reference; a chat's means as many as fit."""

Prompt = str | tuple[int, ...]


@dataclass(frozen=True)
class CompletionAsked:
    """A completion request that was understood."""

    model: str | None
    prompts: list[Prompt]
    echo: bool
    asked: Asked


def read_completion(fields: Fields, limits: Limits) -> CompletionAsked:
    """Understand a completion request, or say which member is wrong."""
    fields.known("user")
    model = fields.text("model")
    prompts = read_texts(fields, "prompt", limits.choices)
    asked = dataclasses.replace(
        read_asked(fields, limits, max_tokens=MAX_TOKENS), logprobs=fields.integer("logprobs", 0, 5)
    )
    if len(prompts) * asked.choices > limits.choices:
        raise invalid(f"{len(prompts)} prompts with {asked.choices} answers each are more than {limits.choices}.", "n")
    if fields.text("suffix"):
        raise unsupported("suffix is not supported: this model only goes on at the end of a text.", "suffix")
    if (fields.integer("best_of", 1, 2**31) or asked.choices) != asked.choices:
        raise unsupported("best_of is only supported where it equals n.", "best_of")
    echo = fields.boolean("echo")
    if echo and asked.logprobs is not None:
        raise unsupported("echo is not supported together with logprobs.", "echo")
    return CompletionAsked(model, prompts, echo, asked)


def read_texts(fields: Fields, member: str, most: int) -> list[Prompt]:
    """One or several texts, each as a string or as token ids."""
    value = fields.raw(member)
    if isinstance(value, str):
        return [value]
    if ids := ids_in(value):
        return [ids]
    entries = fields.array(member, most)
    if not entries:
        raise invalid(f"{member} is missing or empty.", member, "missing_required_parameter")
    texts = [entry if isinstance(entry, str) else ids_in(entry) for entry in entries]
    read = [text for text in texts if isinstance(text, str) or text]
    if len(read) < len(texts):
        raise fields.wrong(member, "a string, an array of strings, token ids or an array of arrays of them")
    return read


async def ids_of(
    prompt: Prompt, tokenizer: words.Tokenizer, facts: words.ModelFacts, member: str = "prompt"
) -> list[int]:
    """The ids of a text; ids that came as such are checked against the vocabulary."""
    if isinstance(prompt, str):
        return await run.make_ids(len(prompt), lambda: tokenizer.encode(prompt))
    if max(prompt) >= facts.vocabulary:
        raise invalid(f"The token id {max(prompt)} is not below {facts.vocabulary}, the model's vocabulary.", member)
    return list(prompt)


async def completions(request: Request) -> ASGIApp:
    """Answer a completion."""
    service = run.service_of(request)
    fields = await run.fields_of(request)
    wanted = read_completion(fields, service.settings.limits)
    run.note_unknown(request, fields)
    facts = service.model(wanted.model)
    exchange = exchange_of(request)
    exchange.model = facts.name
    tokenizer = service.ready_engine().tokenizer(facts.name)
    prompts = [await ids_of(prompt, tokenizer, facts) for prompt in wanted.prompts]
    deadline = deadline_of(request.headers, service.settings.limits)
    requests = requests_of(wanted.asked, prompts, facts, exchange.key, deadline)
    work = await run.begin(request, requests, facts, len(prompts))
    form = Form(
        Identity("cmpl", facts.name, lambda: work.facts.fingerprint),
        tokenizer,
        _echoes(wanted, tokenizer),
        wanted.asked.choices,
        wanted.asked.logprobs is not None,
        wanted.asked.include_usage,
    )
    if not wanted.asked.stream:
        return JSONResponse(completion_object(form, await run.collect(request, work)))
    chunks = CompletionChunks(form)
    return run.stream(request, work, chunks.of, lambda: end_of(chunks.last()))


def _echoes(wanted: CompletionAsked, tokenizer: words.Tokenizer) -> list[str]:
    texts = [
        (prompt if isinstance(prompt, str) else tokenizer.decode(prompt)) if wanted.echo else ""
        for prompt in wanted.prompts
    ]
    return [text for text in texts for _ in range(wanted.asked.choices)]
