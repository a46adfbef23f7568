# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks a server as programs on LiteLLM do, and prints what came as one line of JSON. Runs where LiteLLM is."""

from __future__ import annotations

import asyncio
import json
import os
from typing import Any

# Else its import asks the internet for a list of prices.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
import litellm

litellm.suppress_debug_info = True
URL, KEY = os.environ["HOLDFAST_URL"] + "/v1", os.environ["HOLDFAST_KEY"]
ASKED = {"api_base": URL, "api_key": KEY, "max_retries": 0, "timeout": 60}
MESSAGES = [{"role": "user", "content": "Where is the lamp?"}]
PLACE = {
    "type": "object",
    "properties": {"product": {"enum": ["lamp", "kettle"]}, "in_stock": {"type": "boolean"}},
    "required": ["product", "in_stock"],
    "additionalProperties": False,
}
FIND = {"type": "function", "function": {"name": "find", "parameters": PLACE}}


def chat(**members: Any) -> Any:
    told: dict[str, Any] = {"model": "openai/shop", "messages": MESSAGES, "temperature": 0, **ASKED}
    return litellm.completion(**(told | members))


def told_of(answer: Any) -> dict[str, Any]:
    choice = answer.choices[0]
    return {
        "text": choice.message.content,
        "finish_reason": choice.finish_reason,
        "usage": [answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens],
        "calls": [[call.id, call.function.name, call.function.arguments] for call in choice.message.tool_calls or []],
    }


def streamed(**members: Any) -> dict[str, Any]:
    chunks = list(chat(stream=True, stream_options={"include_usage": True}, **members))
    told = told_of(litellm.stream_chunk_builder(chunks, messages=MESSAGES))
    parts = [chunk.choices[0].delta.content for chunk in chunks if chunk.choices]
    return {**told, "parts": [part for part in parts if part]}


async def side_by_side() -> list[str]:
    asked = [
        litellm.acompletion(model="openai/shop", messages=MESSAGES, temperature=0, max_tokens=most, **ASKED)
        for most in (2, 24, 4)
    ]
    return [answer.choices[0].message.content for answer in await asyncio.gather(*asked)]


def several_providers() -> dict[str, Any]:
    """Names by which LiteLLM's users have servers like ours."""
    return {name: told_of(chat(model=f"{name}/shop"))["text"] for name in ("hosted_vllm", "custom_openai")}


def texts() -> dict[str, Any]:
    told: dict[str, Any] = {"model": "text-completion-openai/shop", "prompt": "The lamp", "max_tokens": 5, "seed": 1}
    whole = litellm.text_completion(**told, **ASKED)
    parts = [chunk.choices[0].text for chunk in litellm.text_completion(**told, stream=True, **ASKED)]
    return {"whole": whole.choices[0].text, "streamed": "".join(part or "" for part in parts)}


def refused() -> dict[str, list[Any]]:
    told: dict[str, list[Any]] = {}
    wrong: dict[str, dict[str, Any]] = {
        "key": {"api_key": "another"},
        "model": {"model": "openai/nobody"},
        "context": {"max_tokens": 100_000},
        "value": {"n": 1000},
    }
    for name, members in wrong.items():
        try:
            chat(**members)
        except Exception as error:
            told[name] = [type(error).__name__, getattr(error, "status_code", None)]
    return told


def main() -> None:
    schema = {"type": "json_schema", "json_schema": {"name": "place", "strict": True, "schema": PLACE}}
    forced: dict[str, Any] = {"tools": [FIND], "tool_choice": "required", "max_tokens": 200}
    vectors = litellm.embedding(model="openai/near", input=["a lamp", "a kettle"], **ASKED).data
    told = {
        "whole": told_of(chat()),
        "streamed": streamed(),
        "side_by_side": asyncio.run(side_by_side()),
        "tools": told_of(chat(**forced)),
        "tools_streamed": streamed(**forced),
        "schema": told_of(chat(response_format=schema, max_tokens=200))["text"],
        "object": told_of(chat(response_format={"type": "json_object"}, max_tokens=40))["text"],
        "vectors": [entry["embedding"] for entry in vectors],
        "providers": several_providers(),
        "texts": texts(),
        "refused": refused(),
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
