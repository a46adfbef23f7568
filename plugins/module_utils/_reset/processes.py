# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What still runs after the units were stopped: containers belong to their shims, which are nobody's children."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from .owned import LIBRARY, is_below
from .system import System

PROGRAMS = (LIBRARY, "/var/lib/rancher")
SHIM = ("containerd-shim", "/run/k3s/containerd")
ATTEMPTS = 20


@dataclass(frozen=True)
class Process:
    """One process as /proc tells it."""

    pid: int
    parent: int
    name: str
    program: str
    arguments: str
    groups: str


class Processes:
    """Everything that runs from our folders, every shim, and all that shims started."""

    def __init__(self, system: System) -> None:
        self._system = system

    def look(self) -> list[str]:
        return [f"process {process.pid} ({process.name})" for process in self._ours()]

    def clear(self) -> None:
        for _attempt in range(ATTEMPTS):
            ours = self._ours()
            if not ours:
                return
            for process in ours:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process.pid, signal.SIGKILL)
            time.sleep(0.1)

    def _ours(self) -> list[Process]:
        return ours_among(list_processes(self._system.path("/proc")), os.getpid())


def ours_among(processes: list[Process], own: int) -> list[Process]:
    """Those of Holdfast with all their descendants, never the one that asks nor those above it."""
    by_pid = {process.pid: process for process in processes}
    above: set[int] = set()
    current = own
    while current in by_pid and current not in above:
        above.add(current)
        current = by_pid[current].parent
    ours = {process.pid for process in processes if _is_ours(process)}
    while True:
        more = {process.pid for process in processes if process.parent in ours} - ours
        if not more:
            break
        ours |= more
    return [by_pid[pid] for pid in sorted(ours - above - {1})]


def _is_ours(process: Process) -> bool:
    from_our_folder = is_below(process.program, PROGRAMS)
    is_shim = all(part in process.arguments for part in SHIM)
    return from_our_folder or is_shim or "/kubepods" in process.groups


def list_processes(proc: Path) -> list[Process]:
    """Every process that can be read; one that ends meanwhile is left out."""
    found: list[Process] = []
    for folder in proc.iterdir():
        if not folder.name.isdigit():
            continue
        try:
            stat = (folder / "stat").read_text(encoding="utf-8", errors="replace")
            arguments = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            groups = (folder / "cgroup").read_text(encoding="utf-8")
        except OSError:
            continue
        name, _end, rest = stat.partition("(")[2].rpartition(")")
        state, parent = rest.split()[:2]
        if state == "Z" or not arguments:
            # Already dead, or a thread of the kernel.
            continue
        try:
            program = os.readlink(folder / "exe")  # noqa: PTH115
        except OSError:
            program = ""
        found.append(
            Process(int(folder.name), int(parent), name, program.removesuffix(" (deleted)"), arguments.strip(), groups)
        )
    return found
