# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ends a playbook as a person would who presses Ctrl-C in its terminal.

ansible-runner kills the playbook's process group at once; Ansible's workers live in sessions of their own and would go
on without their master. So the signal is passed on first, and Ansible ends what it started.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from types import FrameType, TracebackType

GRACE_SECONDS = 20.0


def children_of(parent: int) -> list[int]:
    """The processes whose parent that is."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            # The name stands in parentheses and may hold anything; what follows the last one is plain.
            fields = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == parent:
            found.append(int(stat.parent.name))
    return found


class Interruption:
    """While it is entered, SIGINT and SIGTERM reach the playbook; after it, they are what they were."""

    def __init__(self) -> None:
        self.asked = False
        self._passed_on_at: float | None = None
        self._before: dict[int, object] = {}

    def __enter__(self) -> Interruption:
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # it came from signal.signal itself

    def _note(self, _number: int, _frame: FrameType | None) -> None:
        self.asked = True

    def must_be_killed(self) -> bool:
        """For ansible-runner to ask now and then: whether the playbook had its time to end and did not use it."""
        if not self.asked:
            return False
        if self._passed_on_at is None:
            self._passed_on_at = time.monotonic()
            for child in children_of(os.getpid()):
                os.kill(child, signal.SIGINT)
        return time.monotonic() - self._passed_on_at > GRACE_SECONDS
