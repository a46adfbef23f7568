# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A real server on loopback, in a thread: the same code that the program runs, with uvicorn and sockets."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
from holdfast_inference import words
from holdfast_inference.server.keys import new_key
from holdfast_inference.server.serving import admin_socket, public_socket, serve
from holdfast_inference.server.settings import Access, Settings

PATIENCE = 30.0


@dataclass(frozen=True)
class Running:
    """Where it listens, and a key that may ask."""

    port: int
    key: str
    admin: Path
    keys_file: Path
    stop: Callable[[], None]
    """Tell it to stop, as a signal does; does not wait."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self, **headers: str) -> httpx.Client:
        """A client with the key."""
        return httpx.Client(
            base_url=self.url, headers={"Authorization": f"Bearer {self.key}", **headers}, timeout=PATIENCE
        )

    def operator(self) -> httpx.Client:
        """A client of the operator's socket."""
        return httpx.Client(
            transport=httpx.HTTPTransport(uds=str(self.admin)), base_url="http://operator", timeout=PATIENCE
        )

    def connect(self) -> socket.socket:
        """A bare connection, for what no client library sends."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)


@contextlib.contextmanager
def running(
    folder: Path,
    load: Callable[[], words.Engine | Awaitable[words.Engine]],
    settings: Callable[[Access], Settings] | None = None,
    *,
    made_key: tuple[str, str] | None = None,
) -> Iterator[Running]:
    """A server until the end of the block; `settings` may change what it is told, all but port and access."""
    key, line = made_key or new_key("tester")
    keys_file, admin = folder / "keys", folder / "admin.sock"
    keys_file.write_text(line + "\n", encoding="utf-8")
    access = Access(keys_file=keys_file)
    told = settings(access) if settings else Settings(port=0, access=access, drain_seconds=0.2)
    listening = public_socket(told)
    # Small buffers in the kernel, so that a client that does not read is noticed after kilobytes and not megabytes.
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 64 * 1024)
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()
    failures: list[BaseException] = []

    async def load_in_thread() -> words.Engine:
        made = await asyncio.to_thread(load)
        return await made if isinstance(made, Awaitable) else made

    def work() -> None:
        try:
            loop.run_until_complete(serve(told, load_in_thread, [listening, admin_socket(admin)], stop))
        except BaseException as error:
            failures.append(error)

    def tell() -> None:
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(stop.set)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    server = Running(listening.getsockname()[1], key, admin, keys_file, tell)
    try:
        yield server
    finally:
        tell()
        thread.join(PATIENCE)
        assert not thread.is_alive(), "the server did not stop"
        loop.close()
        assert not failures, failures


def wait_until(condition: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait for something that happens elsewhere; by the clock, since the look itself may take long."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            raise AssertionError("it did not happen in time")
        time.sleep(0.01)
