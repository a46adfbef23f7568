# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A web server on this machine that behaves as badly as the path asks: /reset/file, /truncate/1000, /lie/file …"""

from __future__ import annotations

import hashlib
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import cast

CONTENT = b"".join(hashlib.sha256(bytes([number % 251])).digest() for number in range(40_000))
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@dataclass
class BadServer:
    """What was asked for, and the switches that tests turn."""

    port: int = 0
    ranges: list[str] = field(default_factory=list)
    hits: Counter[str] = field(default_factory=Counter)
    # While it is set, /slow/ gives a little at a time.
    slow: threading.Event = field(default_factory=threading.Event)
    sums: str = ""
    # What /blob/NAME gives.
    blobs: dict[str, bytes] = field(default_factory=dict)
    # How many /late/ answers were under way at once, now and at most.
    under_way: int = 0
    peak: int = 0
    guard: threading.Lock = field(default_factory=threading.Lock)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}/{path}"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    behaviour: BadServer

    def handle_error(self, *arguments: object) -> None:
        """A client that hangs up is part of the test."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    @property
    def state(self) -> BadServer:
        return cast("_Server", self.server).behaviour

    @property
    def content(self) -> bytes:
        """The file, or so many of its first bytes as the path says: /reset/1000."""
        part = self.path.split("/")[2]
        return CONTENT[: int(part)] if part.isdigit() else CONTENT

    def log_message(self, *arguments: object) -> None:
        """Keep quiet."""

    def do_HEAD(self) -> None:
        self._answer(200, len(self.content))

    def do_GET(self) -> None:
        self.state.hits[self.path] += 1
        wanted = self.headers.get("Range", "")
        self.state.ranges.append(wanted)
        start = int(wanted[6:-1]) if wanted else 0
        word = self.path.split("/")[1]
        getattr(self, f"_{word}", self._missing)(start, self.state.hits[self.path])

    def _answer(self, status: int, length: int, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def _head(self, start: int, total: int) -> None:
        if start:
            self._answer(206, total - start, Content_Range=f"bytes {start}-{total - 1}/{total}")
        else:
            self._answer(200, total)

    def _good(self, start: int, _visit: int) -> None:
        self._head(start, len(self.content))
        self.wfile.write(self.content[start:])

    def _truncate(self, start: int, visit: int) -> None:
        """Ends early, twice."""
        self._head(start, len(self.content))
        self.wfile.write(self.content[start : start + 300_000] if visit < 3 else self.content[start:])
        self.close_connection = True

    def _reset(self, start: int, visit: int) -> None:
        self._head(start, len(self.content))
        if visit > 1:
            self.wfile.write(self.content[start:])
            return
        self.wfile.write(self.content[start : start + 200_000])
        self.wfile.flush()
        time.sleep(0.2)
        # A linger of zero makes the close a reset.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def _norange(self, start: int, visit: int) -> None:
        """Ends early once, and then knows nothing of ranges."""
        self._head(0, len(self.content))
        self.wfile.write(self.content[:100_000] if visit == 1 else self.content)
        self.close_connection = True

    def _busy(self, start: int, visit: int) -> None:
        if visit < 3:
            self._answer(503, 0)
        else:
            self._good(start, visit)

    def _stall(self, start: int, visit: int) -> None:
        self._head(start, len(self.content))
        if visit > 1:
            self.wfile.write(self.content[start:])
            return
        self.wfile.write(self.content[:50_000])
        self.wfile.flush()
        time.sleep(6)
        self.close_connection = True

    def _redirect(self, _start: int, _visit: int) -> None:
        self._answer(302, 0, Location=f"/good/{len(self.content)}")

    def _circle(self, _start: int, _visit: int) -> None:
        self._answer(302, 0, Location=self.path + "x")

    def _lie(self, _start: int, _visit: int) -> None:
        self._head(0, len(self.content))
        self.wfile.write(self.content[:-1] + b"!")

    def _short(self, _start: int, _visit: int) -> None:
        """Claims that a part is all."""
        self._head(0, 1000)
        self.wfile.write(self.content[:1000])

    def _slow(self, start: int, _visit: int, block: int = 20_000) -> None:
        self._head(start, len(self.content))
        for begin in range(start, len(self.content), block):
            self.wfile.write(self.content[begin : begin + block])
            self.wfile.flush()
            if self.state.slow.is_set():
                time.sleep(0.2)

    def _trickle(self, start: int, visit: int) -> None:
        """So slow that whatever else a test waits for happens before the end."""
        self._slow(start, visit, block=1_000)

    def _late(self, _start: int, _visit: int) -> None:
        """All is well, but it takes a while."""
        with self.state.guard:
            self.state.under_way += 1
            self.state.peak = max(self.state.peak, self.state.under_way)
        time.sleep(0.5)
        with self.state.guard:
            self.state.under_way -= 1
        self._head(0, len(self.content))
        self.wfile.write(self.content)

    def _blob(self, _start: int, _visit: int) -> None:
        content = self.state.blobs[self.path.rpartition("/")[2]]
        self._head(0, len(content))
        self.wfile.write(content)

    def _sums(self, _start: int, _visit: int) -> None:
        text = self.state.sums.encode()
        self._answer(200, len(text))
        self.wfile.write(text)

    def _missing(self, _start: int, _visit: int) -> None:
        self._answer(404, 0)


@contextmanager
def badly_behaved_server() -> Iterator[BadServer]:
    """The server, on a port of this machine that is free."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.behaviour = BadServer(port=server.server_address[1])
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield server.behaviour
        finally:
            server.shutdown()
            thread.join()
