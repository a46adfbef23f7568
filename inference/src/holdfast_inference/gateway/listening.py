# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""The gateway's side of heartbeats: says hello to each node, hears its beats, and tells who fell silent or was born
anew."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import secrets
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from holdfast_inference.gateway.blame import Quarantine
from holdfast_inference.gateway.heartbeat import (
    BEAT,
    CHALLENGE,
    HELLO,
    NO_EPOCH,
    NOTE,
    SESSION_BYTES,
    Frame,
    Note,
    State,
    pack,
    unpack,
)
from holdfast_inference.gateway.pulse import Pulse

log = logging.getLogger(__name__)

HELLO_SECONDS = 1.0
TICK_SECONDS = 0.02
EPOCHS_REMEMBERED = 16


@dataclass(eq=False)
class Heard:
    """One node, as its heartbeats tell it."""

    address: tuple[str, int]
    make_pulse: Callable[[], Pulse]
    session: bytes = field(default_factory=lambda: secrets.token_bytes(SESSION_BYTES))
    epoch: int = NO_EPOCH
    state: State | None = None
    hellos: int = 0
    last_beat: int = 0
    last_note: int = 0
    notes_said: int = 0
    said_hello: float = float("-inf")
    silent: bool = False
    silent_since: float = 0.0
    past: list[int] = field(default_factory=list)
    """Epochs that are over; none of them comes back."""

    def __post_init__(self) -> None:
        self.pulse = self.make_pulse()

    def take(self, frame: Frame, now: float) -> bool:
        """Understand a frame of this node; True where it began a new life."""
        if frame.kind == CHALLENGE:
            # The number is that of the last hello, so this is no old challenge that somebody kept.
            if frame.sequence != self.hellos or frame.epoch in (self.epoch, *self.past):
                return False
            reborn = self.epoch != NO_EPOCH
            self.past = [*self.past, self.epoch][-EPOCHS_REMEMBERED:]
            self.epoch, self.last_beat, self.silent, self.state = frame.epoch, 0, False, None
            self.last_note = 0
            self.pulse = self.make_pulse()
            self.said_hello = float("-inf")
            return reborn
        if frame.kind == BEAT and frame.epoch == self.epoch and frame.sequence > self.last_beat:
            self.last_beat = frame.sequence
            self.state = frame.state
            self.pulse.beat(now, busy=frame.state is not None and frame.state.busy)
            self.silent = False
        return False

    def hello(self, now: float) -> Frame | None:
        """What is to be said to it, if anything is due. A node that is silent is asked more often: it may be back."""
        every = HELLO_SECONDS / 10 if self.silent or self.epoch == NO_EPOCH else HELLO_SECONDS
        if now - self.said_hello < every:
            return None
        self.said_hello = now
        self.hellos += 1
        return Frame(HELLO, self.epoch, self.session, self.hellos)

    def say(self, note: Note) -> Frame:
        """A note for it to pass on."""
        self.notes_said += 1
        return Frame(NOTE, self.epoch, self.session, self.notes_said, note=note)

    def hear_note(self, frame: Frame) -> Note | None:
        """What another gateway said through this node, if it is new."""
        if frame.epoch != self.epoch or frame.sequence <= self.last_note:
            return None
        self.last_note = frame.sequence
        return frame.note


class Listening(asyncio.DatagramProtocol):
    """All nodes' heartbeats on one socket. Used from one event loop."""

    def __init__(
        self,
        key: bytes,
        fell_silent: Callable[[Heard], None],
        reborn: Callable[[Heard], None],
        quarantine: Quarantine | None = None,
    ) -> None:
        self._key = key
        self._quarantine = quarantine
        self._fell_silent = fell_silent
        self._reborn = reborn
        self._heard: dict[bytes, Heard] = {}
        self._sockets: dict[socket.AddressFamily, asyncio.DatagramTransport] = {}
        self._ticking: asyncio.Task[None] | None = None
        self._ran_at = time.monotonic()
        self.wrong = 0
        """Datagrams that were not ours: a wrong key, or somebody who tries."""

    async def start(self) -> None:
        """Open the sockets and begin to say hello."""
        loop = asyncio.get_running_loop()
        for family, host in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
            with contextlib.suppress(OSError):
                transport, _ = await loop.create_datagram_endpoint(lambda: self, (host, 0), family=family)
                self._sockets[family] = transport
        self._ticking = asyncio.create_task(self._tick())

    async def close(self) -> None:
        """Hear nothing more."""
        if self._ticking is not None:
            self._ticking.cancel()
            await asyncio.gather(self._ticking, return_exceptions=True)
        for transport in self._sockets.values():
            transport.close()

    def add(self, heard: Heard) -> None:
        """Listen to this one too."""
        self._heard[heard.session] = heard

    def remove(self, heard: Heard) -> None:
        """It is no longer one of the site."""
        self._heard.pop(heard.session, None)

    def datagram_received(self, data: bytes, addr: Any) -> None:
        frame = unpack(data, self._key)
        heard = self._heard.get(frame.session) if frame is not None else None
        if frame is None or heard is None:
            self.wrong += 1
            return
        if frame.kind == NOTE:
            note = heard.hear_note(frame)
            if note is not None and self._quarantine is not None and self._quarantine.learn(note):
                log.warning("another gateway put a prompt in quarantine", extra={"seconds": note.seconds})
            return
        now = time.monotonic()
        self._run_again(now)
        if heard.take(frame, now):
            log.warning("a node's process was started anew", extra={"address": heard.address[0]})
            self._reborn(heard)
        if frame.kind == CHALLENGE:
            self._say_hello(heard, now)

    def error_received(self, exc: Exception) -> None:
        """A port that nobody listens on: the node's silence says as much."""

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            now = time.monotonic()
            self._run_again(now)
            for heard in list(self._heard.values()):
                if not heard.silent and heard.pulse.is_silent(now):
                    heard.silent, heard.silent_since = True, now
                    self._fell_silent(heard)
                self._say_hello(heard, now)

    def _run_again(self, now: float) -> None:
        """Excuse the silence of all while this process did not run, before the first beat that had to wait is heard:
        it would be a long pause of its node, and so let that one be silent for long."""
        late, self._ran_at = now - self._ran_at - TICK_SECONDS, now
        if late > TICK_SECONDS:
            for heard in self._heard.values():
                heard.pulse.excuse(late)

    def announce(self) -> None:
        """Tell all nodes at once what this gateway has learned of prompts; they pass it on to its neighbours."""
        for heard in list(self._heard.values()):
            self._say_notes(heard)

    def _say_hello(self, heard: Heard, now: float) -> None:
        frame = heard.hello(now)
        if frame is not None:
            self._say(heard, frame)
            # Again with each hello: a datagram may be lost, and a node may be new.
            self._say_notes(heard)

    def _say_notes(self, heard: Heard) -> None:
        if self._quarantine is not None and heard.epoch != NO_EPOCH:
            for note in self._quarantine.own():
                self._say(heard, heard.say(note))

    def _say(self, heard: Heard, frame: Frame) -> None:
        family = socket.AF_INET6 if _is_v6(heard.address[0]) else socket.AF_INET
        transport = self._sockets.get(family)
        if transport is not None:
            transport.sendto(pack(frame, self._key), heard.address)


def _is_v6(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).version == 6
    except ValueError:
        return False
