# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Heartbeats: what is said, and who believes it. Sockets and threads are real."""

from __future__ import annotations

import asyncio
import dataclasses
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from holdfast_inference.gateway.beating import NOTES_AT_ONCE, NOTES_MOST, Beats, bound
from holdfast_inference.gateway.blame import OWN_MOST, Quarantine
from holdfast_inference.gateway.heartbeat import (
    BEAT,
    CHALLENGE,
    HELLO,
    NO_EPOCH,
    NOTE,
    BadKeyError,
    Frame,
    Note,
    State,
    pack,
    read_key,
    unpack,
)
from holdfast_inference.gateway.listening import Heard, Listening
from holdfast_inference.gateway.pulse import Pulse

KEY = b"k" * 32
SESSION = b"session!"
STATE = State(True, False, 12345, 32768, 3, 7, 123.5, 99)


def pulse() -> Pulse:
    return Pulse(0.3, 2.0)


# -- what is said -----------------------------------------------------------------------------------------------------
def test_a_frame_comes_out_as_it_went_in() -> None:
    for frame in (
        Frame(HELLO, NO_EPOCH, SESSION, 1),
        Frame(CHALLENGE, 2**63, SESSION, 2**40),
        Frame(BEAT, 7, SESSION, 3, STATE),
        Frame(BEAT, 7, SESSION, 3, State(ready=False, draining=True)),
        Frame(NOTE, 7, SESSION, 3, note=Note(b"d" * 32, 300)),
    ):
        assert unpack(pack(frame, KEY), KEY) == frame


def test_no_bit_can_be_changed_and_no_byte_added_or_left_out() -> None:
    datagram = pack(Frame(BEAT, 7, SESSION, 3, STATE), KEY)
    for place in range(8 * len(datagram)):
        changed = bytearray(datagram)
        changed[place // 8] ^= 1 << place % 8
        assert unpack(bytes(changed), KEY) is None
    assert unpack(datagram[:-1], KEY) is None
    assert unpack(datagram + b"\0", KEY) is None
    assert unpack(b"", KEY) is None
    assert unpack(datagram, b"x" * 32) is None


def test_nobody_gains_by_making_a_node_answer() -> None:
    hello = pack(Frame(HELLO, NO_EPOCH, SESSION, 1), KEY)
    assert len(pack(Frame(CHALLENGE, 1, SESSION, 1), KEY)) <= len(hello)
    assert len(pack(Frame(BEAT, 1, SESSION, 1, STATE), KEY)) <= len(hello)


def test_more_than_fits_is_told_as_the_most_that_does() -> None:
    state = State(True, queued_tokens=2**40, running=2**20)
    found = unpack(pack(Frame(BEAT, 1, SESSION, 1, state), KEY), KEY)
    assert found is not None
    assert found.state == dataclasses.replace(state, queued_tokens=2**32 - 1, running=2**16 - 1)


def test_a_key_that_could_be_guessed_is_refused(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("secret\n", encoding="utf-8")
    with pytest.raises(BadKeyError, match="at least 16"):
        read_key(tmp_path / "key")
    with pytest.raises(BadKeyError, match="cannot be read"):
        read_key(tmp_path / "none")
    (tmp_path / "key").write_text("0123456789abcdef\n", encoding="utf-8")
    assert read_key(tmp_path / "key") == b"0123456789abcdef"


# -- who believes it --------------------------------------------------------------------------------------------------
def acquainted(epoch: int = 5) -> Heard:
    """One whose epoch is known."""
    heard = Heard(("127.0.0.1", 1), pulse)
    assert heard.hello(1.0) == Frame(HELLO, NO_EPOCH, heard.session, 1)
    assert not heard.take(Frame(CHALLENGE, epoch, heard.session, 1), 1.0), "a first life is no rebirth"
    assert heard.hello(1.0) == Frame(HELLO, epoch, heard.session, 2)
    return heard


def test_the_absence_of_a_gateway_is_no_pause_of_its_nodes(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock()
    monkeypatch.setattr("holdfast_inference.gateway.listening.time", clock)
    listening = Listening(KEY, lambda _: None, lambda _: None)
    nodes = [acquainted(), acquainted()]
    for heard in nodes:
        heard.pulse = Pulse(0.1, 1.0)
        listening.add(heard)
    for number in range(1, 41):
        clock.now += 0.3 if number == 20 else 0.01
        for heard in nodes:
            frame = Frame(BEAT, 5, heard.session, number, STATE)
            listening.datagram_received(pack(frame, KEY), ("127.0.0.1", 1))
    assert [heard.pulse.limit() for heard in nodes] == [0.1, 0.1]


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


def test_beats_count_once_and_in_order() -> None:
    heard = acquainted()
    heard.take(Frame(BEAT, 5, heard.session, 2, STATE), 1.0)
    assert heard.state == STATE
    other = dataclasses.replace(STATE, queued_tokens=1)
    for again in (2, 1):
        heard.take(Frame(BEAT, 5, heard.session, again, other), 9.0)
    assert heard.state == STATE
    assert heard.pulse.silent_for(9.0) == 8.0, "what was heard before does not make it live on"


def test_an_epoch_that_is_over_never_comes_back() -> None:
    heard = acquainted(5)
    heard.hello(9.0)
    assert heard.take(Frame(CHALLENGE, 6, heard.session, heard.hellos), 9.0)
    heard.take(Frame(BEAT, 5, heard.session, 1000, STATE), 9.0)
    assert heard.state is None
    heard.hello(9.0)
    assert not heard.take(Frame(CHALLENGE, 5, heard.session, heard.hellos), 9.0)
    assert heard.epoch == 6


def test_a_challenge_counts_only_for_the_last_hello() -> None:
    heard = acquainted(5)
    heard.hello(9.0)
    assert not heard.take(Frame(CHALLENGE, 6, heard.session, heard.hellos - 1), 9.0)
    assert heard.epoch == 5


def test_one_that_is_silent_is_asked_more_often() -> None:
    heard = acquainted()
    assert heard.hello(1.5) is None
    heard.silent = True
    assert heard.hello(1.5) is not None


# -- the two together -------------------------------------------------------------------------------------------------
class Node:
    """A node's side on loopback, and a socket that says what it likes to it."""

    def __init__(self, port: int = 0) -> None:
        self.socket = bound("127.0.0.1", port)
        self.port = int(self.socket.getsockname()[1])
        self.looks = 0
        self.beats = Beats(KEY, self.socket, self._look, 0.01)
        self.beats.start()

    def _look(self) -> State:
        self.looks += 1
        return STATE


@pytest.fixture
def node() -> Iterator[Node]:
    made = Node()
    yield made
    made.beats.close()


class Stranger:
    """Says single datagrams to a node."""

    def __init__(self, node: Node) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.connect(("127.0.0.1", node.port))
        self._socket.settimeout(0.3)

    def say(self, frame: Frame, key: bytes = KEY) -> Frame | None:
        """The first answer, if there is any."""
        self._socket.send(pack(frame, key))
        try:
            return unpack(self._socket.recv(2048), KEY)
        except TimeoutError:
            return None

    def send(self, frame: Frame) -> None:
        self._socket.send(pack(frame, KEY))

    def hear(self) -> Frame | None:
        try:
            return unpack(self._socket.recv(2048), KEY)
        except TimeoutError:
            return None

    def close(self) -> None:
        self._socket.close()


def _soon(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.fixture
def stranger(node: Node) -> Iterator[Stranger]:
    made = Stranger(node)
    yield made
    made.close()


def test_a_node_beats_for_those_who_know_its_key_and_its_epoch(node: Node, stranger: Stranger) -> None:
    assert stranger.say(Frame(HELLO, NO_EPOCH, SESSION, 1), b"x" * 32) is None
    assert stranger.say(Frame(BEAT, NO_EPOCH, SESSION, 1, STATE)) is None
    epoch = node.beats.epoch
    assert stranger.say(Frame(HELLO, NO_EPOCH, SESSION, 1)) == Frame(CHALLENGE, epoch, SESSION, 1)
    assert node.looks == 0, "while nobody is told, nothing is looked at"
    beat = stranger.say(Frame(HELLO, epoch, SESSION, 2))
    assert beat is not None
    assert (beat.kind, beat.epoch, beat.session, beat.state) == (BEAT, epoch, SESSION, STATE)


def test_a_hello_that_was_overheard_tells_nobody_else(node: Node, stranger: Stranger) -> None:
    hello = Frame(HELLO, node.beats.epoch, SESSION, 5)
    assert stranger.say(hello) is not None
    other = Stranger(node)
    assert other.say(hello) is None
    assert other.say(dataclasses.replace(hello, sequence=4)) is None
    other.close()


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


def test_a_gateway_hears_a_node_live_die_and_live_again() -> None:
    silent: list[Heard] = []
    reborn: list[Heard] = []

    async def listen() -> None:
        first = await asyncio.to_thread(Node)
        listening = Listening(KEY, silent.append, reborn.append)
        await listening.start()
        heard = Heard(("127.0.0.1", first.port), pulse)
        deaf = Heard(("127.0.0.1", first.port), pulse)
        listening.add(heard)
        listening.add(deaf)
        listening.remove(deaf)
        try:
            await _until(lambda: heard.state == STATE)
            await asyncio.to_thread(first.beats.close)
            await _until(lambda: silent == [heard])
            assert heard.silent
            assert not reborn
            second = await asyncio.to_thread(Node, first.port)
            await _until(lambda: reborn == [heard])
            await _until(lambda: not heard.silent and heard.last_beat > 0)
            assert heard.epoch == second.beats.epoch != first.beats.epoch
            await asyncio.to_thread(second.beats.close)
        finally:
            await listening.close()

    asyncio.run(listen())


# -- what gateways tell each other ------------------------------------------------------------------------------------
DEADLY = (1, 2, 3)


def test_one_gateway_learns_of_a_deadly_prompt_from_another() -> None:
    """By a node that both listen to; also a gateway that comes later, and none of them tells it on for ever."""

    async def learn() -> None:
        node = await asyncio.to_thread(Node)
        known = [Quarantine(300.0) for _ in range(3)]
        gateways = [Listening(KEY, lambda _: None, lambda _: None, quarantine) for quarantine in known]
        heard = [Heard(("127.0.0.1", node.port), pulse) for _ in known]
        try:
            for gateway, one in zip(gateways[:2], heard, strict=False):
                await gateway.start()
                gateway.add(one)
            await _until(lambda: all(one.state == STATE for one in heard[:2]))
            known[0].add("shop", DEADLY)
            gateways[0].announce()
            await _until(lambda: known[1].holds("shop", DEADLY))
            assert not known[1].holds("other", DEADLY)
            await gateways[2].start()
            gateways[2].add(heard[2])
            await _until(lambda: known[2].holds("shop", DEADLY))
            assert [quarantine.learned for quarantine in known] == [0, 1, 1]
            assert [quarantine.total for quarantine in known] == [1, 0, 0]
            assert [len(quarantine.own()) for quarantine in known] == [1, 0, 0]
        finally:
            for gateway in gateways:
                await gateway.close()
            await asyncio.to_thread(node.beats.close)

    asyncio.run(learn())


def test_a_note_counts_once_and_only_from_who_listens(node: Node, stranger: Stranger) -> None:
    epoch = node.beats.epoch

    def note(number: int, sequence: int, session: bytes = SESSION, life: int = epoch) -> Frame:
        return Frame(NOTE, life, session, sequence, note=Note(bytes([number]) * 32, 60))

    stranger.say(note(1, 1))
    assert not node.beats._notes, "it is not known as a gateway yet"
    assert stranger.say(Frame(HELLO, epoch, SESSION, 1)) is not None
    stranger.say(note(1, 2), b"x" * 32)
    stranger.say(note(1, 2, life=epoch + 1))
    assert not node.beats._notes
    stranger.say(note(1, 2))
    _soon(lambda: len(node.beats._notes) == 1)
    stranger.say(note(2, 2))
    stranger.say(note(3, 1))
    stranger.say(Frame(HELLO, epoch, SESSION, 2))
    assert len(node.beats._notes) == 1, "overheard notes say nothing new"


def test_however_much_is_told_a_node_keeps_little_and_passes_on_less(node: Node, stranger: Stranger) -> None:
    epoch = node.beats.epoch
    stranger.say(Frame(HELLO, epoch, SESSION, 1))
    for number in range(2 * NOTES_MOST):
        stranger.send(Frame(NOTE, epoch, SESSION, number + 1, note=Note(number.to_bytes(32, "big"), 2**32 - 1)))
        if number % 16 == 0:
            _soon(lambda number=number: number.to_bytes(32, "big") in node.beats._notes)  # type: ignore[misc]
    _soon(lambda: (2 * NOTES_MOST - 1).to_bytes(32, "big") in node.beats._notes)
    assert len(node.beats._notes) == NOTES_MOST
    other = Stranger(node)
    other.send(Frame(HELLO, epoch, b"another!", 1))
    heard = [other.hear() for _ in range(NOTES_AT_ONCE + 6)]
    notes = [frame.note for frame in heard if frame is not None and frame.kind == NOTE and frame.note is not None]
    assert len(notes) == NOTES_AT_ONCE
    assert all(note.seconds <= 3600 for note in notes)
    other.close()


def test_what_was_learned_ends_and_is_never_kept_longer_than_here() -> None:
    now = 0.0
    quarantine = Quarantine(10.0, lambda: now)
    found = Quarantine(300.0, lambda: now)
    found.add("shop", DEADLY)
    assert [note.seconds for note in found.own()] == [300]
    assert quarantine.learn(found.own()[0])
    assert not quarantine.learn(found.own()[0]), "it is known"
    assert not quarantine.learn(Note(b"d" * 32, 0))
    now = 9.9
    assert quarantine.holds("shop", DEADLY)
    now = 10.1
    assert not quarantine.holds("shop", DEADLY)
    for number in range(2 * OWN_MOST):
        found.add("shop", (number,))
    assert len(found.own()) == OWN_MOST
    now = 500.0
    assert found.own() == []
