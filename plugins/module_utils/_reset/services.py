# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Our units: stopped within a bound, no longer started at boot, forgotten by systemd."""

from __future__ import annotations

import time
from collections.abc import Sequence

from .owned import borrowed, units
from .system import System

STOP_SECONDS = 60.0
POLL_SECONDS = 0.5


class Services:
    """Units of ours that run, and units of packages that run for us."""

    def __init__(self, system: System) -> None:
        self._system = system

    def look(self) -> list[str]:
        running = self._alive()
        running += [
            name for name in self._in_state("active") if name.startswith("holdfast") and name.endswith(".slice")
        ]
        failed = set(self._in_state("failed"))
        return [f"running unit {name}" for name in running] + [
            f"failed unit {name}" for name in units(self._system.root) if name in failed
        ]

    def clear(self) -> None:
        """Ask all at once, wait for all together, and end with force what did not listen."""
        names = self._alive()
        # k3s first: it is to write its last words into an etcd that still answers.
        for some in ([name for name in names if name.startswith("k3s")], names):
            if some:
                self._system.run(["systemctl", "stop", "--no-block", *some])
                self._wait(some)
        left = self._alive()
        if left:
            self._system.run(["systemctl", "kill", "--signal=KILL", *left])
            self._system.run(["systemctl", "stop", "--no-block", *left])
            self._wait(left, 10.0)
        slices = [name for name in self._in_state("active") if name.startswith("holdfast") and name.endswith(".slice")]
        if slices:
            self._system.run(["systemctl", "stop", *slices])
        failed = [name for name in units(self._system.root) if name in set(self._in_state("failed"))]
        if failed:
            self._system.run(["systemctl", "reset-failed", *failed])

    def _alive(self) -> list[str]:
        alive = set(self._in_state("active", "activating", "reloading", "deactivating"))
        wanted = [*borrowed(self._system.root), *units(self._system.root)]
        return [name for name in dict.fromkeys(wanted) if name in alive and not name.endswith(".slice")]

    def _in_state(self, *states: str) -> list[str]:
        answer = self._system.run(
            ["systemctl", "list-units", "--all", "--plain", "--no-legend", "--no-pager", f"--state={','.join(states)}"]
        )
        return [line.split()[0] for line in answer.printed.splitlines() if line.strip()]

    def _wait(self, names: Sequence[str], seconds: float = STOP_SECONDS) -> None:
        ends = time.monotonic() + seconds
        while time.monotonic() < ends and any(name in self._alive() for name in names):
            time.sleep(POLL_SECONDS)
