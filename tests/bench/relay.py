# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A cable to a node on loopback, TCP and UDP, that can be cut: nothing passes any more, and nobody is told.

Each is a process of its own, so that what passes waits for nobody's interpreter lock.
"""

from __future__ import annotations

import asyncio
import multiprocessing
from multiprocessing.connection import Connection
from typing import Any

LOCAL = "127.0.0.1"


class Relay:
    """Runs until it is closed."""

    def __init__(self, tcp: int, udp: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, far = context.Pipe()
        self._process = context.Process(target=_run, args=(far, tcp, udp), daemon=True)
        self._process.start()
        far.close()
        self.tcp, self.udp = self._pipe.recv()

    def cut(self) -> None:
        """From now on nothing passes, in no direction."""
        self._pipe.send(False)
        self._pipe.recv()

    def mend(self) -> None:
        """New connections pass again; those that were cut stay as dead as they were."""
        self._pipe.send(True)
        self._pipe.recv()

    def close(self) -> None:
        """Ends the process."""
        self._process.terminate()
        self._process.join(10)
        self._pipe.close()


def _run(pipe: Connection, tcp: int, udp: int) -> None:
    cable = _Cable(tcp, udp)
    loop = asyncio.new_event_loop()
    loop.run_until_complete(cable.listen())
    pipe.send((cable.tcp, cable.udp))

    def obey() -> None:
        cable.is_whole = pipe.recv()
        pipe.send(cable.is_whole)

    loop.add_reader(pipe.fileno(), obey)
    loop.run_forever()


class _Cable:
    def __init__(self, tcp: int, udp: int) -> None:
        self._targets = (tcp, udp)
        self.tcp = self.udp = 0
        self.is_whole = True
        self._tasks: set[asyncio.Task[None]] = set()

    async def listen(self) -> None:
        server = await asyncio.start_server(self._serve, LOCAL, 0)
        self.tcp = server.sockets[0].getsockname()[1]
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: _Near(self, self._targets[1]), local_addr=(LOCAL, 0))
        self.udp = transport.get_extra_info("sockname")[1]

    def keep(self, task: asyncio.Task[None] | None) -> None:
        """The loop itself does not keep what it runs, and what nobody keeps may vanish half done."""
        if task is not None:
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.keep(asyncio.current_task())
        while not self.is_whole:
            await asyncio.sleep(0.05)
        try:
            far_reader, far_writer = await asyncio.open_connection(LOCAL, self._targets[0])
        except OSError:
            writer.transport.abort()
            return
        await asyncio.gather(self._pass(reader, far_writer), self._pass(far_reader, writer))

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        cut = False
        try:
            while data := await reader.read(65536):
                cut = cut or not self.is_whole
                if not cut:
                    writer.write(data)
                    await writer.drain()
            if not cut and self.is_whole:
                writer.close()
        except OSError:
            if not cut and self.is_whole:
                writer.transport.abort()


class _Near(asyncio.DatagramProtocol):
    """Towards gateways. Each of them has a way of its own to the node, so that answers find back."""

    def __init__(self, relay: _Cable, target: int) -> None:
        self._relay, self._target = relay, target
        self._ways: dict[Any, asyncio.DatagramTransport] = {}

    def connection_made(self, transport: Any) -> None:
        self.transport: asyncio.DatagramTransport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        if self._relay.is_whole:
            self._relay.keep(asyncio.get_running_loop().create_task(self._send(data, addr)))

    async def _send(self, data: bytes, addr: Any) -> None:
        if addr not in self._ways:
            loop = asyncio.get_running_loop()
            way, _ = await loop.create_datagram_endpoint(
                lambda: _Far(self._relay, self.transport, addr), remote_addr=(LOCAL, self._target)
            )
            self._ways[addr] = way
        self._ways[addr].sendto(data)


class _Far(asyncio.DatagramProtocol):
    def __init__(self, relay: _Cable, near: asyncio.DatagramTransport, addr: Any) -> None:
        self._relay, self._near, self._addr = relay, near, addr

    def datagram_received(self, data: bytes, addr: Any) -> None:
        if self._relay.is_whole:
            self._near.sendto(data, self._addr)

    def error_received(self, exc: Exception) -> None:
        """A node that is dead; its silence says as much."""
