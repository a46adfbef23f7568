# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""Server-sent events: their framing, and a response that never ends as if it were complete when it is not."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any

from starlette.types import Receive, Scope, Send

from holdfast_inference.server.body import ClientGone
from holdfast_inference.server.errors import ApiError, is_foreseen, told_of

log = logging.getLogger(__name__)

# One newline only: with a blank line after it, OpenAI's clients take it for an event and fail on its empty data.
PING = b": ping\n"
DONE = b"data: [DONE]\n\n"
_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),
]


def frame(content: Mapping[str, Any]) -> bytes:
    """One event. JSON has no raw line breaks, so one data line is enough."""
    return b"data: " + json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode("utf-8") + b"\n\n"


def end_of(last: Mapping[str, Any] | None) -> bytes:
    """How OpenAI's streams end: with the last chunk, where there is one, and the mark that nothing follows."""
    return (frame(last) if last else b"") + DONE


async def until_disconnect(receive: Receive) -> None:
    """Returns when the client is gone. The body must have been read before."""
    while (await receive())["type"] != "http.disconnect":
        pass


class EventStream:
    """A response made of frames. An error before the first frame is a response of its own; after it, an event.

    Until the first frame nothing is sent for `ping_seconds`, so that what fails early still has its status.
    """

    def __init__(
        self,
        frames: AsyncGenerator[bytes, None],
        close: Callable[[], None],
        failed: Callable[[ApiError], None],
        *,
        ping_seconds: float,
        write_seconds: float,
    ) -> None:
        self._frames = frames
        self._close = close
        self._failed = failed
        self._ping_seconds = ping_seconds
        self._write_seconds = write_seconds
        self._started = False
        self._wrote = 0.0
        self._writing = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._send = send
        writer = asyncio.create_task(self._write_all(scope, receive))
        watcher = asyncio.create_task(until_disconnect(receive))
        pinger = asyncio.create_task(self._ping())
        try:
            await asyncio.wait({writer, watcher}, return_when=asyncio.FIRST_COMPLETED)
            if not writer.done():
                raise ClientGone
            await writer
        except asyncio.CancelledError:
            writer.cancel()
            if self._started:
                await self._last_words(ApiError(503, "stopping", "The server stops; the answer is not complete."))
            raise
        finally:
            self._close()
            tasks = (writer, watcher, pinger)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._frames.aclose()

    async def _write_all(self, scope: Scope, receive: Receive) -> None:
        try:
            async for part in self._frames:
                await self._write(part)
        except Exception as error:
            # Only the engine's failures come here: what is wrong with the client's socket is raised by _write.
            if isinstance(error, _CannotWrite):
                raise
            told = told_of(error)
            if not is_foreseen(error):
                log.exception("a stream failed")
            self._failed(told)
            if not self._started:
                self._started = True
                await told.response()(scope, receive, self._send)
                return
            await self._write(frame(told.body()))
        await self._put({"type": "http.response.body", "body": b"", "more_body": False})

    async def _write(self, part: bytes) -> None:
        async with self._writing:
            if not self._started:
                self._started = True
                await self._put({"type": "http.response.start", "status": 200, "headers": list(_HEADERS)})
            await self._put({"type": "http.response.body", "body": part, "more_body": True})
            self._wrote = asyncio.get_running_loop().time()

    async def _put(self, message: dict[str, Any]) -> None:
        try:
            async with asyncio.timeout(self._write_seconds):
                await self._send(message)
        except TimeoutError:
            raise _CannotWrite(f"The client read nothing for {self._write_seconds:g} seconds.") from None

    async def _ping(self) -> None:
        clock = asyncio.get_running_loop().time
        self._wrote = clock()
        while True:
            quiet = clock() - self._wrote
            if quiet < self._ping_seconds:
                await asyncio.sleep(self._ping_seconds - quiet)
            else:
                await self._write(PING)

    async def _last_words(self, error: ApiError) -> None:
        """Tell why, if the client still reads; the connection is then cut without the mark of a complete response."""
        self._failed(error)
        with contextlib.suppress(Exception):
            async with asyncio.timeout(0.2):
                await self._send({"type": "http.response.body", "body": frame(error.body()), "more_body": True})


class _CannotWrite(ClientGone):
    """The client does not read, which is its doing and no fault of the program."""
