# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long a disk takes to make a small write safe: what etcd waits for at every change."""

from __future__ import annotations

import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path

# About what etcd's log writes for one object of Kubernetes.
BLOCK = b"\0" * 8192
FILE = ".holdfast-fsync"
LARGEST = 64 << 20


@dataclass(frozen=True)
class Speed:
    """Milliseconds; `p99` is what 99 of 100 writes stay below."""

    p50: float
    p99: float
    worst: float
    writes: int

    def as_dict(self) -> dict[str, float]:
        return asdict(self)


def measure(folder: Path, seconds: float) -> Speed:
    """Write and sync for so long in a file that is removed afterwards."""
    path = folder / FILE
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        path.unlink()
        return summary(_times(handle, seconds))
    finally:
        os.close(handle)


def _times(handle: int, seconds: float) -> list[float]:
    end, written = time.monotonic() + seconds, 0
    taken: list[float] = []
    while not taken or time.monotonic() < end:
        if written >= LARGEST:
            os.lseek(handle, 0, os.SEEK_SET)
            written = 0
        began = time.monotonic()
        written += os.write(handle, BLOCK)
        os.fdatasync(handle)
        taken.append((time.monotonic() - began) * 1000)
    return taken


def summary(taken: list[float]) -> Speed:
    """The share that etcd goes by."""
    ranked = sorted(taken)

    def below(share: float) -> float:
        return round(ranked[min(len(ranked) - 1, int(share * len(ranked)))], 2)

    return Speed(p50=below(0.5), p99=below(0.99), worst=round(ranked[-1], 2), writes=len(ranked))
