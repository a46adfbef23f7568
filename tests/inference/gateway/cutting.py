# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Between a gateway and a node: passes everything on, until a certain event of a stream has passed. Then it cuts."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable, Iterator

RESET = struct.pack("ii", 1, 0)


class Cutter:
    """Listens on a port of its own. While `after` is set, the first stream that has it is cut behind that event."""

    def __init__(self, target: int) -> None:
        self._target = target
        self.after: bytes | None = None
        self.then: Callable[[], None] = lambda: None
        """What is done at that moment."""
        self.cuts = 0
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listening.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            node = socket.create_connection(("127.0.0.1", self._target), 5)
        except OSError:
            client.close()
            return
        threading.Thread(target=_pass_on, args=(client, node), daemon=True).start()
        self._pass_events(node, client)

    def _pass_events(self, node: socket.socket, client: socket.socket) -> None:
        """What a node says, in whole events where it is a stream."""
        waiting = b""
        with contextlib.suppress(OSError):
            while received := node.recv(65536):
                waiting += received
                while True:
                    event, end, rest = waiting.partition(b"\n\n")
                    if not end:
                        break
                    client.sendall(event + end)
                    waiting = rest
                    if self.after is not None and self.after in event:
                        self.after = None
                        self.cuts += 1
                        self.then()
                        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                        client.close()
                        node.close()
                        return
                if self.after is None or b"data: " not in waiting:
                    client.sendall(waiting)
                    waiting = b""
            client.sendall(waiting)
        client.close()

    def close(self) -> None:
        self._listening.close()


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while received := source.recv(65536):
            target.sendall(received)
        target.shutdown(socket.SHUT_WR)


@contextlib.contextmanager
def cutter(target: int) -> Iterator[Cutter]:
    """A cutter before a port until the end of the block."""
    made = Cutter(target)
    try:
        yield made
    finally:
        made.close()
