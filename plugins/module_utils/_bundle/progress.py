# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Says what is being done while it is done: one line a step, and a sign of life in between."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

HEARTBEAT_SECONDS = 30.0


def spoken_seconds(seconds: float) -> str:
    """A length of time as people say it."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest} s" if rest and minutes < 10 else f"{minutes} min"


def spoken_size(size: int | None) -> str:
    """A number of bytes as people say it."""
    if size is None:
        return "unknown size"
    amount = float(size)
    for unit in ("B", "KiB", "MiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} GiB"


class Progress:
    """Appends lines to a file that the action plugin reads aloud; without a file it keeps quiet."""

    def __init__(self, path: Path | None = None, heartbeat: float = HEARTBEAT_SECONDS) -> None:
        self._path = path
        self._heartbeat = heartbeat
        self._lock = threading.Lock()

    def say(self, line: str) -> None:
        """One line, at once."""
        if self._path is None:
            return
        # A courtesy only: where it cannot be written, as by another user, the work goes on in silence.
        with self._lock, contextlib.suppress(OSError), self._path.open("a", encoding="utf-8") as stream:
            stream.write(f"bundle: {line}\n")

    @contextlib.contextmanager
    def step(self, doing: str, usual: str = "", detail: Callable[[], str] = str) -> Iterator[None]:
        """Announce a step, repeat every half minute that it still goes on (with `detail`), and say when it is done."""
        began = time.monotonic()
        done = threading.Event()

        def beat() -> None:
            while not done.wait(self._heartbeat):
                note = detail()
                self.say(f"still {doing}, {spoken_seconds(time.monotonic() - began)} so far{note and ', ' + note}")

        self.say(f"{doing}{usual and f' ({usual})'}")
        pulse = threading.Thread(target=beat, name="heartbeat", daemon=True)
        pulse.start()
        try:
            yield
        finally:
            done.set()
            pulse.join()
        self.say(f"done {doing} in {spoken_seconds(time.monotonic() - began)}")
