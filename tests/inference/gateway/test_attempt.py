# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""However an attempt ends, its connection is closed to the end: the client's pool never forgets one that is not."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import Any

import httpx
import pytest
from holdfast_inference import words
from holdfast_inference.gateway.attempt import Attempt, Failed
from holdfast_inference.gateway.nodes import Member, Node

TOKEN: Mapping[str, Any] = {"index": 0, "id": 5, "text": "a"}
FINISH: Mapping[str, Any] = {
    "text": "",
    "finish_reason": "stop",
    "stop": None,
    "usage": {"prompt": 1, "completion": 1, "cached": 0},
}


class Connection(httpx.AsyncByteStream):
    """What comes from a node; closing it takes a moment, as closing a socket does."""

    def __init__(self, frames: Sequence[Mapping[str, Any]]) -> None:
        self.frames = frames
        self.closing = asyncio.Event()
        self.closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for content in self.frames:
            yield b"data: " + json.dumps(content).encode() + b"\n\n"
        await asyncio.Event().wait()

    async def aclose(self) -> None:
        self.closing.set()
        await asyncio.sleep(0.05)
        self.closed = True


class Running:
    """An attempt under way, which has brought what its node said so far."""

    def __init__(self, *frames: Mapping[str, Any]) -> None:
        self.connection = Connection(frames)
        self.taken: list[words.Event] = []
        node = Node(Member("a", "http://192.0.2.1"))
        self.attempt = Attempt(node, 1, 10, suspect=False, take=lambda _attempt, event: self.taken.append(event))

    async def start(self) -> asyncio.Task[None]:
        transport = httpx.MockTransport(lambda _request: httpx.Response(200, stream=self.connection))
        client = httpx.AsyncClient(transport=transport)
        task = asyncio.create_task(self.attempt.run(client, {}, {}, httpx.Timeout(5)))
        while len(self.taken) < len(self.connection.frames):
            await asyncio.sleep(0)
        return task


async def cancelled_once(_running: Running, task: asyncio.Task[None]) -> None:
    task.cancel()


async def cancelled_while_it_closes(running: Running, task: asyncio.Task[None]) -> None:
    task.cancel()
    await running.connection.closing.wait()
    task.cancel()


async def cut_and_cancelled(running: Running, task: asyncio.Task[None]) -> None:
    running.attempt.cut("silent")
    await running.connection.closing.wait()
    task.cancel()


@pytest.mark.parametrize("end", [cancelled_once, cancelled_while_it_closes, cut_and_cancelled])
@pytest.mark.parametrize("frames", [(TOKEN,), (TOKEN, FINISH)], ids=["in the middle", "after the end"])
def test_a_connection_is_closed_to_the_end(
    end: Callable[[Running, asyncio.Task[None]], Awaitable[None]], frames: tuple[Mapping[str, Any], ...]
) -> None:
    async def scene() -> Running:
        running = Running(*frames)
        task = await running.start()
        await end(running, task)
        await asyncio.gather(task, return_exceptions=True)
        await asyncio.sleep(0.2)
        return running

    running = asyncio.run(scene())
    assert running.connection.closed
    assert len(running.taken) == len(frames)


def test_one_that_is_cut_says_so() -> None:
    async def scene() -> None:
        running = Running(TOKEN)
        task = await running.start()
        running.attempt.cut("silent")
        with pytest.raises(Failed, match="silent") as failed:
            await task
        assert failed.value.crash and failed.value.silence

    asyncio.run(scene())
