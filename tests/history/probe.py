# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks one address again and again, each time on a new connection, to know the moment at which it answers again."""

from __future__ import annotations

import itertools
import threading
import time

from .client import Client, NoAnswerError, Way


class Probe:
    """Several askers in turn; one that gets no answer hides no other."""

    def __init__(self, way: Way, path: str = "/version", askers: int = 6, every_seconds: float = 0.05) -> None:
        self._way, self._path = way, path
        self._every, self._askers = every_seconds, askers
        self._turns = itertools.count()
        self._stopped = threading.Event()
        self._answered: list[float] = []
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(askers)]
        self._began = 0.0

    @property
    def answered(self) -> tuple[float, ...]:
        """When each good answer was there."""
        return tuple(self._answered)

    def start(self) -> None:
        self._began = time.monotonic()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join(timeout=10)

    def _run(self) -> None:
        while not self._stopped.is_set():
            turn = next(self._turns)
            delay = self._began + turn * self._every - time.monotonic()
            if self._stopped.wait(max(0.0, delay)):
                return
            # Whoever is late takes the next turn of the present, not of the past.
            if delay < -self._every:
                self._turns = itertools.count(int((time.monotonic() - self._began) / self._every) + 1)
            self._ask()

    def _ask(self) -> None:
        client = Client(self._way, self._every * self._askers)
        try:
            status, _ = client.ask("GET", self._path)
            if status == 200:
                self._answered.append(time.monotonic())
        except NoAnswerError:
            pass
        finally:
            client.hang_up()
