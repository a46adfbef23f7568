# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands that are due because files changed that they read: since the boot, and since they last ran.

Nothing hangs on the run that changed the file, so one that ended before its command is made up for by the next one.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

STAMPS = Path("/run/holdfast-hardening")
PROC = Path("/proc")


def booted(proc: Path = PROC) -> float:
    """When the first process of this machine, or of this container, began."""
    lines = (proc / "stat").read_text(encoding="utf-8").splitlines()
    boot = next(float(line.split()[1]) for line in lines if line.startswith("btime "))
    # The second field is a name in brackets, which may have spaces inside.
    fields = (proc / "1/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return boot + float(fields[19]) / os.sysconf("SC_CLK_TCK")


def due(command: Sequence[str], files: Sequence[str], stamps: Path = STAMPS) -> bool:
    """Whether one of the files is newer than what the command last read."""
    last = max(booted(), _last_read(_stamp(command, stamps)))
    return any(_changed(Path(name)) > last for name in files)


@contextmanager
def noted(command: Sequence[str], stamps: Path = STAMPS) -> Iterator[None]:
    """Note that the command ran, with the moment of its begin, if it ends well."""
    stamps.mkdir(mode=0o755, exist_ok=True)
    stamp = _stamp(command, stamps)
    # It gets its time as the files do that are compared with it: their clock is coarser than that of programs.
    begun = stamp.with_suffix(".begun")
    begun.touch()
    yield
    begun.replace(stamp)


def _stamp(command: Sequence[str], stamps: Path) -> Path:
    return stamps / hashlib.sha256("\0".join(command).encode()).hexdigest()[:16]


def _last_read(stamp: Path) -> float:
    return stamp.stat().st_mtime if stamp.exists() else 0.0


def _changed(path: Path) -> float:
    """When the file became what it is: unlike the time of its writing, nobody sets that back."""
    return path.stat().st_ctime if path.exists() else 0.0
