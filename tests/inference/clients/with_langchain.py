# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks a server as programs on LangChain do, and prints what came as one line of JSON. Runs where LangChain is."""

from __future__ import annotations

import asyncio
import json
import os
from typing import Any, Literal

from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel, SecretStr

URL, KEY = os.environ["HOLDFAST_URL"] + "/v1", os.environ["HOLDFAST_KEY"]
QUESTION = "Where is the lamp?"


class Place(BaseModel):
    """Where a product is."""

    product: Literal["lamp", "kettle"]
    in_stock: bool


def find(product: Literal["lamp", "kettle"], in_stock: bool) -> str:
    """Find a product."""
    return f"{product} {in_stock}"


def chat(**members: Any) -> ChatOpenAI:
    told: dict[str, Any] = {"model": "shop", "base_url": URL, "api_key": SecretStr(KEY), "temperature": 0}
    return ChatOpenAI(**(told | {"max_retries": 0, "timeout": 60} | members))


def invoked() -> dict[str, Any]:
    answer = chat().invoke([SystemMessage("You are the shop."), HumanMessage(QUESTION)])
    return {
        "text": answer.content,
        "usage": dict(answer.usage_metadata or {}),
        "finish_reason": answer.response_metadata["finish_reason"],
        "model": answer.response_metadata["model_name"],
        "fingerprint": answer.response_metadata["system_fingerprint"],
    }


def streamed() -> dict[str, Any]:
    chunks = list(chat(stream_usage=True).stream(QUESTION))
    whole = chunks[0]
    for chunk in chunks[1:]:
        whole = whole + chunk
    return {
        "parts": [chunk.content for chunk in chunks if chunk.content],
        "usage": dict(whole.usage_metadata or {}),
        "finish_reason": whole.response_metadata["finish_reason"],
    }


async def side_by_side() -> list[str]:
    answers = await chat().abatch([QUESTION, "How much is the kettle?", QUESTION])
    return [str(answer.content) for answer in answers]


def tools() -> dict[str, Any]:
    bound = chat(max_tokens=200).bind_tools([find], tool_choice="any")
    whole = bound.invoke(QUESTION)
    chunks = list(bound.stream(QUESTION))
    collected = chunks[0]
    for chunk in chunks[1:]:
        collected = collected + chunk
    # What the tool said goes back, as an agent sends it.
    said = [ToolMessage("aisle 17", tool_call_id=call["id"]) for call in whole.tool_calls]
    after = chat(max_tokens=24).bind_tools([find]).invoke([HumanMessage(QUESTION), whole, *said])
    return {
        "whole": whole.tool_calls,
        "streamed": collected.tool_calls,
        "invalid": [*whole.invalid_tool_calls, *collected.invalid_tool_calls],
        "finish_reason": whole.response_metadata["finish_reason"],
        "goes_on": isinstance(after, AIMessage) and bool(after.usage_metadata),
    }


def structured() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for method in ("json_schema", "function_calling"):
        asked = chat(max_tokens=200).with_structured_output(Place, method=method)
        found[method] = asked.invoke(QUESTION).model_dump()
    asked = chat(max_tokens=200).with_structured_output(Place, method="json_schema")
    found["streamed"] = list(asked.stream(QUESTION))[-1].model_dump()
    return found


def embedded() -> dict[str, Any]:
    # Unless told otherwise it looks for a list of OpenAI's tokens on the internet and sends ids of those.
    asked = OpenAIEmbeddings(
        model="near", base_url=URL, api_key=SecretStr(KEY), check_embedding_ctx_length=False, max_retries=0
    )
    documents = asked.embed_documents(["a lamp", "a kettle"])
    return {"documents": documents, "query": asked.embed_query("a lamp")}


def probabilities() -> list[dict[str, Any]]:
    answer = chat(logprobs=True, top_logprobs=2).invoke(QUESTION)
    return list(answer.response_metadata["logprobs"]["content"])


def refused() -> dict[str, list[Any]]:
    told: dict[str, list[Any]] = {}
    wrong: dict[str, dict[str, Any]] = {
        "key": {"api_key": SecretStr("another")},
        "model": {"model": "nobody"},
        "context": {"max_tokens": 100_000},
    }
    for name, members in wrong.items():
        try:
            chat(**members).invoke(QUESTION)
        except Exception as error:
            told[name] = [type(error).__mro__[1].__name__, type(error).__name__, getattr(error, "code", None)]
    return told


def main() -> None:
    told = {
        "invoked": invoked(),
        "streamed": streamed(),
        "side_by_side": asyncio.run(side_by_side()),
        "tools": tools(),
        "structured": structured(),
        "embedded": embedded(),
        "probabilities": probabilities(),
        "refused": refused(),
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
