# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs other programs so that they end when this one does."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from .errors import StoppedError

# The kernel sends the signal when the parent dies, even by SIGKILL; 1 is PR_SET_PDEATHSIG. Done in a small launcher
# because code between fork and exec is not safe in a program with threads.
_LAUNCHER = (
    "import ctypes, os, sys\n"
    "ctypes.CDLL(None).prctl(1, 15, 0, 0, 0)\n"
    "if os.getppid() != int(sys.argv[1]): sys.exit(143)\n"
    "os.execvp(sys.argv[2], sys.argv[2:])\n"
)


def run_guarded(
    command: Sequence[str],
    directory: Path,
    environment: Mapping[str, str],
    cancel: threading.Event,
    line: Callable[[str], None],
) -> int:
    """Run a program in its own group, hand each line it says to `line`, and end the group when cancelled."""
    if cancel.is_set():
        raise StoppedError("Stopped before it began.")
    with subprocess.Popen(
        [sys.executable, "-c", _LAUNCHER, str(os.getpid()), *command],
        cwd=directory,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        start_new_session=True,
    ) as process:
        watch = threading.Thread(target=_end_when_cancelled, args=(process, cancel), daemon=True)
        watch.start()
        try:
            for said in process.stdout or ():
                line(said.rstrip("\n"))
        finally:
            if process.poll() is None and (cancel.is_set() or sys.exc_info()[0]):
                _end_group(process)
            code = process.wait()
            watch.join()
    if cancel.is_set():
        raise StoppedError(f"{command[0]} was stopped.")
    return code


def run_quietly(
    command: Sequence[str], directory: Path | None = None, environment: Mapping[str, str] | None = None
) -> str:
    """The standard output of a short command; OSError or CalledProcessError where it fails."""
    return subprocess.run(
        list(command),
        cwd=directory,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    ).stdout


def _end_when_cancelled(process: subprocess.Popen[str], cancel: threading.Event) -> None:
    while process.poll() is None:
        if cancel.wait(0.2):
            _end_group(process)
            return


def _end_group(process: subprocess.Popen[str]) -> None:
    """The group has the process's own number, because it began a session."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, sign)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(5)
            return
