# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Texts become ids, and vectors become text, without stalling the other clients, however long and however many."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable

import httpx
import pytest
from holdfast_inference import words
from holdfast_inference.server import service
from holdfast_inference.server.embeddings import EmbeddingAsked, told
from holdfast_inference.server.run import THREAD_FROM, make_ids

from .scripted_engine import ScriptedEngine
from .test_chat_asked import TOOL, USER, chat


async def turns_of_others(work: Awaitable[object]) -> int:
    """How often something else runs meanwhile."""
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    running = asyncio.create_task(other())
    await work
    running.cancel()
    return turns


def test_of_many_texts_others_have_their_turn_between() -> None:
    async def read() -> None:
        for _ in range(50):
            await make_ids(10, lambda: [1])

    assert asyncio.run(turns_of_others(read())) >= 49


def test_of_many_vectors_too() -> None:
    end = words.Finish("stop", "", words.Usage(3, 0), vector=(0.6, 0.8))
    asked = EmbeddingAsked("shop", [], packed=False, dimensions=None)
    facts = ScriptedEngine().models()["shop"]
    assert asyncio.run(turns_of_others(told(facts, asked, [end] * 50))) >= 49
    response = json.loads(bytes(asyncio.run(told(facts, asked, [end] * 2)).body))
    assert [entry["index"] for entry in response["data"]] == [0, 1]
    assert response["usage"] == {"prompt_tokens": 6, "total_tokens": 6}


def test_a_long_text_is_read_in_a_thread() -> None:
    assert asyncio.run(make_ids(THREAD_FROM, lambda: [threading.get_ident()])) != [threading.get_ident()]
    assert asyncio.run(make_ids(THREAD_FROM - 1, lambda: [threading.get_ident()])) == [threading.get_ident()]


CALL = {"id": "c1", "type": "function", "function": {"name": "aisle", "arguments": '"' + "x" * THREAD_FROM + '"'}}
TALK = {"type": "object", "properties": {"of": {"type": "string", "description": "x" * THREAD_FROM}}}


@pytest.mark.parametrize(
    "members",
    [
        {"messages": [{**USER, "content": "x" * THREAD_FROM}]},
        {"messages": [USER, {"role": "assistant", "tool_calls": [CALL]}]},
        {"tools": [{**TOOL, "function": {"name": "aisle", "parameters": TALK}}]},
    ],
    ids=["what is said", "what a tool was called with", "what tools there are"],
)
def test_a_chat_is_as_long_as_all_that_its_template_writes(members: dict[str, object]) -> None:
    assert chat().size() < 1000
    assert chat(**members).size() >= THREAD_FROM


def test_a_long_prompt_is_given_to_the_engine_in_a_thread(
    engine: ScriptedEngine, client: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "LONG_PROMPT", 100)
    threads: dict[int, int] = {}
    submit = engine.submit

    def noted(request: words.Request) -> words.Answer:
        threads[len(request.prompt_ids)] = threading.get_ident()
        return submit(request)

    engine.submit = noted  # type: ignore[method-assign]
    for length in (1, 99, 100):
        assert client.post("/v1/completions", json={"prompt": "x" * length, "max_tokens": 5}).status_code == 200
    assert threads[1] == threads[99] != threads[100]
