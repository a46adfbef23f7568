# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""POST /v1/chat/completions."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp

from holdfast_inference import words
from holdfast_inference.server import run
from holdfast_inference.server.asked import Asked, deadline_of, read_asked, requests_of
from holdfast_inference.server.chat_shapes import ChatChunks, Form, chat_object
from holdfast_inference.server.errors import invalid, unsupported
from holdfast_inference.server.exchange import exchange_of
from holdfast_inference.server.fields import Fields
from holdfast_inference.server.formats import read_format
from holdfast_inference.server.messages import read_messages
from holdfast_inference.server.settings import Limits
from holdfast_inference.server.shapes import Identity
from holdfast_inference.server.stream import end_of
from holdfast_inference.server.tools import Tools, read_tools


@dataclass(frozen=True)
class ChatAsked:
    """A chat request that was understood."""

    model: str | None
    messages: list[dict[str, Any]]
    tools: Tools
    asked: Asked

    def size(self) -> int:
        """Characters that the template writes, about: calls and tools may be longer than what is said."""
        return len(str(self.messages)) + len(str(self.tools.shown))


def read_chat(fields: Fields, limits: Limits) -> ChatAsked:
    """Understand a chat request, or say which member is wrong."""
    # Understood, and without effect here: nothing is stored, billed by tier or told apart by user.
    fields.known("user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key")
    model = fields.text("model")
    messages = read_messages(fields, limits)
    tools = read_tools(fields, limits)
    grammar = read_format(fields, limits)
    if tools.grammar and grammar:
        raise invalid("A tool must be called, so response_format cannot hold for the answer.", "response_format")
    modalities = fields.array("modalities", 8)
    if modalities is not None and modalities != ["text"]:
        raise unsupported("modalities can only be text.", "modalities")
    asked = dataclasses.replace(
        read_asked(fields, limits), logprobs=_read_logprobs(fields), grammar=tools.grammar or grammar
    )
    return ChatAsked(model, messages, tools, asked)


def _read_logprobs(fields: Fields) -> int | None:
    wanted = fields.boolean("logprobs")
    top = fields.integer("top_logprobs", 0, 20)
    if top and not wanted:
        raise invalid("top_logprobs needs logprobs to be true.", "top_logprobs")
    return (top or 0) if wanted else None


async def chat_completions(request: Request) -> ASGIApp:
    """Answer a chat."""
    service = run.service_of(request)
    fields = await run.fields_of(request)
    chat = read_chat(fields, service.settings.limits)
    run.note_unknown(request, fields)
    facts = service.model(chat.model)
    exchange = exchange_of(request)
    exchange.model = facts.name
    tokenizer = service.ready_engine().tokenizer(facts.name)
    prompt = await run.make_ids(chat.size(), lambda: _ids(chat, tokenizer))
    deadline = deadline_of(request.headers, service.settings.limits)
    requests = requests_of(chat.asked, [prompt], facts, exchange.key, deadline)
    work = await run.begin(request, requests, facts)
    form = Form(
        Identity("chatcmpl", facts.name, lambda: work.facts.fingerprint),
        tokenizer,
        chat.tools,
        chat.asked.choices,
        chat.asked.logprobs is not None,
        chat.asked.include_usage,
    )
    if not chat.asked.stream:
        return JSONResponse(chat_object(form, await run.collect(request, work)))
    chunks = ChatChunks(form)
    return run.stream(request, work, chunks.of, lambda: end_of(chunks.last()))


def _ids(chat: ChatAsked, tokenizer: words.Tokenizer) -> list[int]:
    return tokenizer.chat(chat.messages, tools=list(chat.tools.shown) or None)
