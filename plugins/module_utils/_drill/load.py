# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Many clients at a steady rate, whatever becomes of their requests: what waits does not slow down what comes."""

from __future__ import annotations

import itertools
import json
import queue
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .client import Answer, Client
from .questions import Question


class LoadError(Exception):
    """Why no load could be put on the site."""


@dataclass(frozen=True)
class Load:
    """How much is asked: so many requests a second, by so many clients at the most."""

    rate: float
    clients: int


def right_answers(client: Client, asked: Sequence[Question]) -> dict[str, tuple[tuple[str, str], ...]]:
    """The answer to each question while nothing is wrong; the streamed and the plain one must be the same."""
    right: dict[str, tuple[tuple[str, str], ...]] = {}
    for question in asked:
        answer = client.ask(question, uuid.uuid4().hex, time.time())
        if answer.error:
            raise LoadError(f"Before anything was done to the site, {question.name!r} was answered by: {answer.error}")
        before = right.setdefault(question.name, answer.told)
        if before != answer.told:
            raise LoadError(
                f"Before anything was done to the site, {question.name!r} was answered in two ways: {before} and "
                f"{answer.told}. A drill compares answers, so it has no sense here."
            )
    return right


def ask_until(
    client: Client, asked: Sequence[Question], load: Load, ended: Callable[[], bool], take: Callable[[Answer], None]
) -> int:
    """Ask at the rate until it is ended and all is answered; gives how many were asked."""
    waiting: queue.Queue[tuple[Question, float] | None] = queue.Queue()

    def work() -> None:
        while (item := waiting.get()) is not None:
            question, begun = item
            take(client.ask(question, uuid.uuid4().hex, begun))

    threads = [threading.Thread(target=work, daemon=True) for _number in range(load.clients)]
    for thread in threads:
        thread.start()
    count, first = 0, time.time()
    for question in itertools.cycle(asked):
        due = first + count / load.rate
        time.sleep(max(0.0, due - time.time()))
        if ended():
            break
        # From when it was due: a client that was busy is no excuse for the site.
        waiting.put((question, due))
        count += 1
    for _thread in threads:
        waiting.put(None)
    for thread in threads:
        thread.join()
    return count


class Record:
    """One line for each answer, in a file that a report is made of."""

    def __init__(self, path: Path, right: dict[str, tuple[tuple[str, str], ...]]) -> None:
        self._stream = path.open("w", encoding="utf-8")
        self._right = right
        self._lock = threading.Lock()

    def take(self, answer: Answer) -> None:
        line = {
            "kind": answer.question.kind,
            "stream": answer.question.stream,
            "begun": round(answer.begun, 4),
            "seconds": round(answer.seconds, 4),
            "pause": round(answer.pause, 4),
            "tries": answer.tries,
            "error": answer.error,
            "last_error": answer.last_error,
            "wrong": not answer.error and answer.told != self._right[answer.question.name],
        }
        if line["wrong"]:
            line["told"], line["right"] = answer.told, self._right[answer.question.name]
        with self._lock:
            self._stream.write(json.dumps(line) + "\n")

    def close(self) -> None:
        self._stream.close()
