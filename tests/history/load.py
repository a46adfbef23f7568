# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A constant load on the API: writers that each own a register and make entries, and readers of all registers."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from .client import Client, NoAnswerError, Way
from .model import Kind, Operation, Outcome, State

# An answer that takes longer is given up; the fail-over of the address is faster than that.
ANSWER_SECONDS = 0.7
REGISTER, ENTRY = "register-", "entry-"


@dataclass(frozen=True)
class Rate:
    """How much is asked."""

    writers: int = 4
    readers: int = 2
    pause_seconds: float = 0.08


class Load:
    """Runs from `start` to `stop`; `history` may be read at any time."""

    def __init__(self, way: Way, namespace: str, rate: Rate | None = None) -> None:
        self.namespace = namespace
        self._way = way
        self._rate = rate or Rate()
        self._stopped = threading.Event()
        self._history: list[Operation] = []
        self._threads = [
            *(self._thread(self._write, number) for number in range(self._rate.writers)),
            *(self._thread(self._read, number) for number in range(self._rate.readers)),
        ]

    @property
    def history(self) -> tuple[Operation, ...]:
        """All operations that are over by now."""
        return tuple(self._history)

    def start(self) -> None:
        """Make the namespace and let all clients begin."""
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace}}
        status = patiently(self._way, "POST", "/api/v1/namespaces", body)[0]
        assert status in (201, 409), f"the namespace {self.namespace} was answered with {status}"
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Let each client end its last question."""
        self._stopped.set()
        for thread in self._threads:
            thread.join(timeout=30)

    def final(self) -> State:
        """What is there now, read with a quorum."""
        registers, entries = {}, set()
        status, document = patiently(self._way, "GET", f"/api/v1/namespaces/{self.namespace}/configmaps")
        assert status == 200, f"the list of {self.namespace} was answered with {status}"
        for item in document["items"]:
            name = item["metadata"]["name"]
            if name.startswith(REGISTER):
                registers[name] = int(item["data"]["number"])
            elif name.startswith(ENTRY):
                entries.add(name)
        return State(registers, frozenset(entries))

    def _thread(self, work: Callable[[int], None], number: int) -> threading.Thread:
        return threading.Thread(target=work, args=(number,), daemon=True)

    def _path(self, name: str = "") -> str:
        return f"/api/v1/namespaces/{self.namespace}/configmaps" + (f"/{name}" if name else "")

    def _write(self, writer: int) -> None:
        client = Client(self._way, ANSWER_SECONDS)
        register, number, version = f"{REGISTER}{writer}", 0, ""
        while not self._stopped.is_set():
            number += 1
            if number % 2:
                self._ask(client, Kind.ADD, f"{ENTRY}{writer}-{number}", number, "")
            else:
                outcome, document = self._ask(client, Kind.SET, register, number, version)
                if outcome is Outcome.OK:
                    version = document["metadata"]["resourceVersion"]
                else:
                    version = self._look_again(client, register, version)
            self._stopped.wait(self._rate.pause_seconds)
        client.hang_up()

    def _look_again(self, client: Client, register: str, version: str) -> str:
        """After a doubt the writer asks what stands there; without an answer it stays with what it knew."""
        outcome, document = self._ask(client, Kind.GET, register, 0, "")
        if outcome is not Outcome.OK:
            return version
        return str(document.get("metadata", {}).get("resourceVersion", ""))

    def _read(self, _reader: int) -> None:
        client = Client(self._way, ANSWER_SECONDS)
        chance = random.Random()
        while not self._stopped.is_set():
            register = f"{REGISTER}{chance.randrange(self._rate.writers)}"
            self._ask(client, Kind.GET, register, 0, "")
            self._stopped.wait(self._rate.pause_seconds)
        client.hang_up()

    def _ask(self, client: Client, kind: Kind, key: str, number: int, version: str) -> tuple[Outcome, Any]:
        method, path, body = self._question(kind, key, number, version)
        start = time.monotonic()
        try:
            status, document = client.ask(method, path, body)
            outcome, said = judge_status(kind, status), str(status)
        except NoAnswerError as error:
            # What was never sent has no effect, whoever was asked.
            outcome = Outcome.UNKNOWN if error.sent else Outcome.FAILED
            document, said = {}, str(error)
        if kind is Kind.GET and outcome is Outcome.OK:
            number = int(document.get("data", {}).get("number", 0))
        self._history.append(
            Operation(kind, key, number, start, time.monotonic(), outcome, threading.current_thread().name, said)
        )
        return outcome, document

    def _question(self, kind: Kind, key: str, number: int, version: str) -> tuple[str, str, dict[str, Any] | None]:
        if kind is Kind.GET:
            return "GET", self._path(key), None
        metadata = {"name": key, "namespace": self.namespace}
        body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"number": str(number)}}
        if kind is Kind.ADD or not version:
            return "POST", self._path(), body
        # Only where what this writer knows still stands, so that a late arrival can never undo a newer write.
        return "PUT", self._path(key), {**body, "metadata": {**metadata, "resourceVersion": version}}


def judge_status(kind: Kind, status: int) -> Outcome:
    """What an answer means: a refusal is certain, an error of the server is not.

    A conflict is not certain either: it may be with the same question, sent twice on its way.
    """
    if status in (200, 201) or (kind is Kind.GET and status == 404):
        return Outcome.OK
    return Outcome.FAILED if 400 <= status < 500 and status != 409 else Outcome.UNKNOWN


def patiently(way: Way, method: str, path: str, body: dict[str, Any] | None = None) -> tuple[int, Any]:
    """Ask until there is an answer that is no error of the server; a minute at most."""
    client = Client(way, 20)
    deadline = time.monotonic() + 60
    try:
        while True:
            try:
                status, document = client.ask(method, path, body)
                if status < 500 or time.monotonic() > deadline:
                    return status, document
            except NoAnswerError:
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.2)
    finally:
        client.hang_up()


@contextmanager
def loaded(way: Way, namespace: str, rate: Rate | None = None) -> Iterator[Load]:
    """A load for as long as the block runs."""
    load = Load(way, namespace, rate)
    load.start()
    try:
        yield load
    finally:
        load.stop()
