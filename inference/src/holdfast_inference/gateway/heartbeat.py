# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""What nodes and gateways say to each other by UDP, and how they know that it is true and new.

A gateway says `HELLO`; a node that is asked with its own epoch sends `BEAT`s for a few seconds, and answers any other
hello with a `CHALLENGE` that tells its epoch. Everything is signed with the key that the site shares. Nothing is taken
twice: hellos and beats are numbered, a challenge names the hello that it answers, and the session is drawn anew for
each gateway and node. What is unsigned is not answered, and no answer is longer than what it answers.

A gateway that put a prompt in quarantine says so in `NOTE`s, after its hellos; nodes pass them on to the gateways that
listen to them, so that gateways need not know of each other. A note names a digest and for how long it is meant.
"""

from __future__ import annotations

import hmac
import struct
from dataclasses import dataclass
from pathlib import Path

from holdfast_inference.server.keys import KeysError

HELLO, BEAT, CHALLENGE, NOTE = 1, 2, 3, 4
DIGEST_BYTES = 32
SESSION_BYTES = 8
KEY_BYTES_LEAST = 16
NO_EPOCH = 0

_MAGIC = b"HFB1"
_TAG_BYTES = 16
_HEAD = struct.Struct(f"!4sBQ{SESSION_BYTES}sQ")
_STATE = struct.Struct("!BIIHHfQ")
_NOTE = struct.Struct(f"!{DIGEST_BYTES}sI")
_BODIES = {HELLO: _STATE.size, BEAT: _STATE.size, CHALLENGE: 0, NOTE: _NOTE.size}
_READY, _DRAINING = 1, 2


class BadKeyError(KeysError):
    """A key file that is no use."""


@dataclass(frozen=True)
class State:
    """How a node is, in the few bytes that a beat has for it."""

    ready: bool
    draining: bool = False
    queued_tokens: int = 0
    queue_limit_tokens: int = 0
    running: int = 0
    waiting: int = 0
    tokens_per_second: float = 0.0
    steps: int = 0
    """How often the engine has computed: one that has work and counts no further is stuck, however well it beats."""

    @property
    def busy(self) -> bool:
        """Whether anything is under way; the next beat comes sooner then."""
        return bool(self.running or self.waiting)


@dataclass(frozen=True)
class Note:
    """A prompt that nobody is to be asked, and for how many seconds from now."""

    digest: bytes
    seconds: int


@dataclass(frozen=True)
class Frame:
    """One datagram."""

    kind: int
    epoch: int
    """Which life of the node's process this is from, or is meant for."""
    session: bytes
    sequence: int
    state: State | None = None
    note: Note | None = None


def read_key(path: Path) -> bytes:
    """The key of the site; one that could be guessed is refused."""
    try:
        key = path.read_bytes().strip()
    except OSError as error:
        raise BadKeyError(f"The heartbeats' key cannot be read: {error}") from error
    if len(key) < KEY_BYTES_LEAST:
        raise BadKeyError(f"{path} has {len(key)} bytes; a key for heartbeats has at least {KEY_BYTES_LEAST}.")
    return key


def pack(frame: Frame, key: bytes) -> bytes:
    """The datagram of a frame. A hello is as long as a beat, so that nobody gains by making a node answer."""
    head = _HEAD.pack(_MAGIC, frame.kind, frame.epoch, frame.session, frame.sequence)
    told = b"\0" * _STATE.size if frame.kind == HELLO else _packed(frame.state) if frame.state else b""
    if frame.note is not None:
        told = _NOTE.pack(frame.note.digest, min(max(frame.note.seconds, 0), 2**32 - 1))
    body = head + told
    return body + _tag(body, key)


def unpack(datagram: bytes, key: bytes) -> Frame | None:
    """The frame of a datagram; None for whatever is not ours."""
    body, tag = datagram[:-_TAG_BYTES], datagram[-_TAG_BYTES:]
    if len(body) < _HEAD.size or not hmac.compare_digest(tag, _tag(body, key)):
        return None
    magic, kind, epoch, session, sequence = _HEAD.unpack_from(body)
    if magic != _MAGIC or kind not in _BODIES or len(body) != _HEAD.size + _BODIES[kind]:
        return None
    told = body[_HEAD.size :]
    state = _unpacked(told) if kind == BEAT else None
    return Frame(kind, epoch, session, sequence, state, Note(*_NOTE.unpack(told)) if kind == NOTE else None)


def _tag(body: bytes, key: bytes) -> bytes:
    return hmac.digest(key, body, "sha256")[:_TAG_BYTES]


def _packed(state: State) -> bytes:
    return _STATE.pack(
        _READY * state.ready | _DRAINING * state.draining,
        min(state.queued_tokens, 2**32 - 1),
        min(state.queue_limit_tokens, 2**32 - 1),
        min(state.running, 2**16 - 1),
        min(state.waiting, 2**16 - 1),
        state.tokens_per_second,
        state.steps,
    )


def _unpacked(body: bytes) -> State:
    flags, queued, limit, running, waiting, speed, steps = _STATE.unpack(body)
    return State(bool(flags & _READY), bool(flags & _DRAINING), queued, limit, running, waiting, speed, steps)
