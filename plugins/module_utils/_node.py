# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a node is: the few facts that decide whether it can be part of a site."""

from __future__ import annotations

import os
import platform
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from ansible_collections.holdfast.edge.plugins.module_utils._listening import listening

MIB = 1024 * 1024
# There from the first to the last step of a restore (role backup).
UNFINISHED_RESTORE = "etc/holdfast/restore-unfinished"


@dataclass(frozen=True)
class Node:
    """One look at a machine; sizes in MiB."""

    distribution: str
    major_version: str
    pretty_name: str
    architecture: str
    kernel: str
    cpus: int
    memory_mb: int
    free_mb: int
    state_path: str
    machine_id: str
    clock_offset_seconds: float | None
    init: str
    efi: bool
    restoring: bool
    listening: dict[str, str]

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


def parse_os_release(text: str) -> dict[str, str]:
    """The key=value pairs of an os-release file, quotes taken off."""
    pairs = (line.split("=", 1) for line in text.splitlines() if "=" in line and not line.lstrip().startswith("#"))
    return {key.strip(): value.strip().strip("\"'") for key, value in pairs}


def parse_memory_total(meminfo: str) -> int:
    """Total memory in MiB from the text of /proc/meminfo; 0 when it is not there."""
    for line in meminfo.splitlines():
        if line.startswith("MemTotal:"):
            return int(line.split()[1]) // 1024
    return 0


def memory_limit(root: Path) -> int | None:
    """What the control group of the whole machine is granted in MiB: less than its memory where it is a container."""
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        text = _read(root / "sys/fs/cgroup" / name).strip()
        if text.isdigit():
            return int(text) // MIB
    return None


def free_space(path: Path) -> int:
    """MiB that are free where `path` is, or will be once it is made."""
    while not path.exists():
        path = path.parent
    stats = os.statvfs(path)
    return stats.f_bavail * stats.f_frsize // MIB


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""


def look(state_path: str, controller_epoch: float | None = None, root: Path = Path("/")) -> Node:
    """Read the facts of the machine whose file system starts at `root`."""
    offset = None if controller_epoch is None else round(time.time() - controller_epoch, 1)
    memory = parse_memory_total(_read(root / "proc/meminfo"))
    limit = memory_limit(root)
    release = parse_os_release(_read(root / "etc/os-release"))
    return Node(
        distribution=release.get("ID", "unknown").capitalize(),
        major_version=release.get("VERSION_ID", "").split(".")[0],
        pretty_name=release.get("PRETTY_NAME", "an unknown system"),
        architecture=platform.machine(),
        kernel=platform.release(),
        cpus=len(os.sched_getaffinity(0)),
        memory_mb=memory if limit is None else min(memory, limit),
        free_mb=free_space(root / state_path.lstrip("/")),
        state_path=state_path,
        machine_id=_read(root / "etc/machine-id").strip(),
        clock_offset_seconds=offset,
        init=_read(root / "proc/1/comm").strip(),
        efi=(root / "sys/firmware/efi").is_dir(),
        restoring=(root / UNFINISHED_RESTORE).exists(),
        listening=listening(root / "proc"),
    )
