# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""The node's side of heartbeats: a thread that tells each gateway that asks for it, every few milliseconds.

While no gateway asks it sleeps, so a node that nobody watches burns nothing.
"""

from __future__ import annotations

import contextlib
import logging
import secrets
import select
import socket
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from holdfast_inference.gateway.heartbeat import (
    BEAT,
    CHALLENGE,
    HELLO,
    NOTE,
    Frame,
    Note,
    State,
    pack,
    read_key,
    unpack,
)
from holdfast_inference.server.service import Service

log = logging.getLogger(__name__)

SUBSCRIBED_SECONDS = 3.0
STATE_EVERY, STATE_EVERY_IDLE = 5, 2
"""Beats for one look at the engine, with work and without: looking costs more than beating."""
SLOWER_WHILE_IDLE = 5
"""Where nothing is under way nothing can be lost, so that a tenth of a second more is no matter, and power is."""
SESSIONS_MOST = 256
DATAGRAM_MOST = 2048
NOTES_MOST, NOTES_AT_ONCE = 64, 8
NOTE_SECONDS_MOST = 3600


@dataclass
class _Session:
    """One gateway's wish to be told."""

    address: Any
    last_hello: int
    until: float
    last_note: int = 0


class Beats:
    """Bound when it is made, so that a taken port is known at once. The epoch is drawn anew for each process."""

    def __init__(self, key: bytes, listening: socket.socket, look: Callable[[], State], beat_seconds: float) -> None:
        self._key = key
        self._socket = listening
        self._socket.setblocking(False)
        self._look = look
        self._beat_seconds = beat_seconds
        self.epoch = secrets.randbits(63) + 1
        self._sessions: OrderedDict[bytes, _Session] = OrderedDict()
        self._sequence = 0
        self._beaten = -1
        self._notes: OrderedDict[bytes, float] = OrderedDict()
        """Until when each is meant. What gateways say to each other, and nothing to the node itself."""
        self._state = State(ready=False)
        self._wake, self._woken = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name="heartbeats", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def close(self) -> None:
        """The last beat was sent. Waits for the thread."""
        self._wake.close()
        self._thread.join()
        self._woken.close()
        self._socket.close()

    def _run(self) -> None:
        due = 0.0
        while True:
            subscribed = [session for session in self._sessions.values() if session.until > time.monotonic()]
            wait = max(0.0, due - time.monotonic()) if subscribed else None
            readable, _, _ = select.select([self._socket, self._woken], [], [], wait)
            if self._woken in readable:
                return
            if self._socket in readable:
                self._listen()
            if subscribed and time.monotonic() >= due:
                self._beat()
                due = time.monotonic() + self._beat_seconds * (1 if self._state.busy else SLOWER_WHILE_IDLE)

    def _listen(self) -> None:
        try:
            datagram, address = self._socket.recvfrom(DATAGRAM_MOST)
        except OSError:
            return
        frame = unpack(datagram, self._key)
        if frame is not None and frame.kind == NOTE:
            self._take_note(frame)
        if frame is None or frame.kind != HELLO:
            return
        if frame.epoch != self.epoch:
            self._send(Frame(CHALLENGE, self.epoch, frame.session, frame.sequence), address)
            return
        known = self._sessions.get(frame.session)
        if known is not None and frame.sequence <= known.last_hello:
            return
        noted = known.last_note if known is not None else 0
        self._sessions[frame.session] = _Session(address, frame.sequence, time.monotonic() + SUBSCRIBED_SECONDS, noted)
        self._sessions.move_to_end(frame.session)
        if len(self._sessions) > SESSIONS_MOST:
            self._sessions.popitem(last=False)
        # Again with each hello, for a gateway that was born since or did not get it.
        self._pass_on(frame.session, self._valid_notes()[-NOTES_AT_ONCE:])

    def _take_note(self, frame: Frame) -> None:
        """From a gateway that listens here; passed on at once to all others."""
        known = self._sessions.get(frame.session)
        if known is None or frame.note is None or frame.epoch != self.epoch or frame.sequence <= known.last_note:
            return
        known.last_note = frame.sequence
        is_new = frame.note.digest not in self._notes
        self._notes[frame.note.digest] = time.monotonic() + min(frame.note.seconds, NOTE_SECONDS_MOST)
        self._notes.move_to_end(frame.note.digest)
        if len(self._notes) > NOTES_MOST:
            self._notes.popitem(last=False)
        if is_new:
            for name in list(self._sessions):
                if name != frame.session:
                    self._pass_on(name, [frame.note])

    def _valid_notes(self) -> list[Note]:
        now = time.monotonic()
        for digest in [digest for digest, until in self._notes.items() if until <= now]:
            del self._notes[digest]
        return [Note(digest, round(until - now)) for digest, until in self._notes.items()]

    def _pass_on(self, name: bytes, notes: Sequence[Note]) -> None:
        session = self._sessions[name]
        for note in notes:
            self._sequence += 1
            self._send(Frame(NOTE, self.epoch, name, self._sequence, note=note), session.address)

    def _beat(self) -> None:
        self._beaten += 1
        if self._beaten % (STATE_EVERY if self._state.busy else STATE_EVERY_IDLE) == 0:
            try:
                self._state = self._look()
            except Exception:
                log.exception("the node's state cannot be told")
                self._state = State(ready=False)
        self._sequence += 1
        now = time.monotonic()
        for name, session in self._sessions.items():
            if session.until > now:
                self._send(Frame(BEAT, self.epoch, name, self._sequence, self._state), session.address)

    def _send(self, frame: Frame, address: Any) -> None:
        # A gateway that is away is no reason to stop telling the others.
        with contextlib.suppress(OSError):
            self._socket.sendto(pack(frame, self._key), address)


def state_of(service: Service) -> State:
    """What a node tells of itself."""
    models = service.status().models.values()
    return State(
        ready=service.not_ready_because() is None,
        draining=service.draining,
        queued_tokens=sum(model.queued_tokens for model in models),
        queue_limit_tokens=sum(model.queue_limit_tokens for model in models),
        running=sum(model.running for model in models),
        waiting=sum(model.waiting for model in models),
        tokens_per_second=sum(model.tokens_per_second for model in models),
        steps=sum(model.steps for model in models),
    )


def bound(host: str, port: int) -> socket.socket:
    """The socket on which a node listens for hellos."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_DGRAM)
    try:
        listening.bind((host, port))
    except OSError:
        listening.close()
        raise
    return listening


@contextlib.contextmanager
def beats(service: Service) -> Iterator[None]:
    """Heartbeats of a server until the end of the block, where its settings have a key for them."""
    settings = service.settings.heartbeat
    if settings.key_file is None:
        yield
        return
    listening = bound(settings.host or service.settings.host, settings.port)
    beating = Beats(read_key(settings.key_file), listening, lambda: state_of(service), settings.beat_seconds)
    beating.start()
    try:
        yield
    finally:
        beating.close()
