# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""What this process was granted of the machine: cores, memory, and the class of instructions."""

from __future__ import annotations

import os
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")
PROC = Path("/proc")

# Kernels are chosen by these; two machines of different classes round differently, so answers are equal within
# one class only.
_CLASSES = ("amx_int8", "avx512_vnni", "avx_vnni", "avx512bw", "avx2", "i8mm", "asimddp")


def granted_cores(cgroup: Path = CGROUP) -> int:
    """Whole cores of the quota, at least one: one thread too many costs half the speed and four times the
    slowest token."""
    cores = len(os.sched_getaffinity(0))
    try:
        quota, period = (cgroup / "cpu.max").read_text().split()
    except (OSError, ValueError):
        return max(1, cores)
    if quota != "max":
        cores = min(cores, int(quota) // int(period))
    return max(1, cores)


def granted_memory(cgroup: Path = CGROUP, proc: Path = PROC) -> int:
    """Bytes that this process may use: the limit of its group, or what the machine has available."""
    available = 0
    for line in (proc / "meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            available = int(line.split()[1]) * 1024
    try:
        limit = (cgroup / "memory.max").read_text().strip()
    except OSError:
        return available
    return available if limit == "max" else min(available, int(limit))


def instruction_class(proc: Path = PROC) -> str:
    """The best known set of instructions, such as avx512_vnni."""
    known: set[str] = set()
    for line in (proc / "cpuinfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("flags", "Features"):
            known = set(value.split())
            break
    return next((name for name in _CLASSES if name in known), "plain")
