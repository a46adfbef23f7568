# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""The way of events from the engine's thread to whoever asked, be it a thread or an event loop."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator

from ..words import Event, Finish


class LiveAnswer:
    """Events as they come. A reader that goes away before the end cancels the request."""

    def __init__(self, request_id: str, on_cancel: Callable[[], None]) -> None:
        self._request_id = request_id
        self._on_cancel: Callable[[], None] | None = on_cancel
        self._events: deque[Event] = deque()
        self._ready = threading.Condition()
        self._wake: Callable[[], None] | None = None
        self.cancelled = False
        self.ended = False

    @property
    def request_id(self) -> str:
        return self._request_id

    def cancel(self) -> None:
        self.cancelled = True
        tell = self._on_cancel
        if tell is not None:
            tell()

    def put(self, event: Event) -> None:
        """From the engine's thread. After a Finish nothing more is taken."""
        with self._ready:
            if self.ended:
                return
            self.ended = isinstance(event, Finish)
            if self.ended:
                # Who keeps an old answer must not keep the model that gave it.
                self._on_cancel = None
            self._events.append(event)
            self._ready.notify_all()
            wake = self._wake
        if wake is not None:
            wake()

    def __iter__(self) -> Iterator[Event]:
        finished = False
        try:
            while not finished:
                with self._ready:
                    while not self._events:
                        self._ready.wait()
                    event = self._events.popleft()
                finished = isinstance(event, Finish)
                yield event
        finally:
            if not finished:
                self.cancel()

    async def __aiter__(self) -> AsyncIterator[Event]:
        loop = asyncio.get_running_loop()
        arrived = asyncio.Event()

        def wake() -> None:
            try:
                loop.call_soon_threadsafe(arrived.set)
            except RuntimeError:
                # The loop was closed with the answer unread; nobody waits for it any more.
                self.cancelled = True

        finished = False
        with self._ready:
            self._wake = wake
        try:
            while not finished:
                with self._ready:
                    arrived.clear()
                    event = self._events.popleft() if self._events else None
                if event is None:
                    await arrived.wait()
                    continue
                finished = isinstance(event, Finish)
                yield event
        finally:
            with self._ready:
                self._wake = None
            if not finished:
                self.cancel()
