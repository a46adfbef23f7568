# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that outlive the command that started them, known again by more than a number that the kernel reuses."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from .files import write_atomically


@dataclass(frozen=True)
class Process:
    """A process that we started: its id, when the kernel started it (in ticks), and in which boot."""

    pid: int
    started: int
    boot: str


def start_detached(command: Sequence[str], log: Path) -> Process:
    """Start a program in a session of its own, so that it survives our end and our terminal's."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        child = subprocess.Popen(
            list(command), cwd="/", stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    started = _start_time(child.pid)
    if started is None:
        raise OSError(f"{command[0]} ended at once; its log is {log}")
    return Process(child.pid, started, _boot_id())


def is_running(process: Process) -> bool:
    """Return whether that very process still runs; another one with the same number does not count."""
    return process.boot == _boot_id() and _start_time(process.pid) == process.started


def stop(process: Process, *, grace_seconds: float = 10.0) -> None:
    """End the process, first politely; safe to repeat."""
    for signal_number, patience in ((signal.SIGTERM, grace_seconds), (signal.SIGKILL, 5.0)):
        if not is_running(process):
            return
        os.kill(process.pid, signal_number)
        deadline = time.monotonic() + patience
        while is_running(process) and time.monotonic() < deadline:
            _reap(process.pid)
            time.sleep(0.05)


def save(process: Process, path: Path) -> None:
    """Write down which process it is."""
    write_atomically(path, json.dumps(asdict(process)) + "\n")


def load(path: Path) -> Process | None:
    """Read what ``save`` wrote; nothing when there is no such file or it is not one of ours."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return Process(int(data["pid"]), int(data["started"]), str(data["boot"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _reap(pid: int) -> None:
    # Only a child of ours can be a zombie of ours; for any other process this is an error that means nothing.
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return


def _start_time(pid: int) -> int | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return None
    # The name in brackets may hold spaces and brackets itself, so the fields are counted from its end.
    fields = text.rpartition(")")[2].split()
    return None if fields[0] in ("Z", "X") else int(fields[19])


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="utf-8").strip()
