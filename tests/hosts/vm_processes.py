# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finds a machine's programs by what they were started with, so that no record can be missing, stale, or a stranger's.

A file with a process id is written a moment too late for whoever is interrupted in between, and the kernel gives the
number to somebody else later. A command line with the path of this very machine's disk in it is proof.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from .model import HostsError

PATIENCE_SECONDS = 20.0


def find(program: str, beginning: str) -> list[int]:
    """Return the ids of running programs of that name that were started with an argument that begins like that."""
    found = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            words = (folder / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        # The name may stand a few words later, while nsenter has not become the program yet.
        if _begins(words, beginning) and program in [word.rpartition("/")[2] for word in words[:6]]:
            found.append(int(folder.name))
    return sorted(found)


def kill(program: str, beginning: str) -> bool:
    """End every such program at once, without a chance to tidy up, and wait until it is gone; return if one was."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    there = False
    while True:
        found = find(program, beginning)
        if not found:
            return there
        there = True
        if time.monotonic() > deadline:
            raise HostsError(
                f"{program} ({', '.join(map(str, found))}) does not end although it was killed; the machine may be out "
                "of disk or memory. Look at it with 'ps', then run the same command again."
            )
        for pid in found:
            _kill_verified(pid, program, beginning)
        time.sleep(0.05)


def _begins(words: list[str], beginning: str) -> bool:
    return any(word.startswith(beginning) for word in words)


def _kill_verified(pid: int, program: str, beginning: str) -> None:
    # The descriptor stays with this process even if the number gets another one in between.
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        if pid in find(program, beginning):
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
    except ProcessLookupError:
        return
    finally:
        os.close(descriptor)
