# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which TCP ports of a machine are taken, and by which unit."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

LISTEN = "0A"
SERVICE = re.compile(r"/([^/]+\.service)(?:/|$)")
SOCKET = re.compile(r"socket:\[(\d+)\]")


def parse_listening(table: str) -> dict[str, int]:
    """Socket inode → port, of the listening lines in a text like that of /proc/net/tcp."""
    rows = [line.split() for line in table.splitlines()[1:]]
    return {row[9]: int(row[1].rpartition(":")[2], 16) for row in rows if len(row) > 9 and row[3] == LISTEN}


def parse_unit(cgroup: str) -> str:
    """The systemd service that a process belongs to, by the text of its /proc/PID/cgroup; empty without one."""
    match = SERVICE.search(cgroup)
    return match.group(1) if match else ""


def listening(proc: Path = Path("/proc")) -> dict[str, str]:
    """Port → the unit, or else the program, that listens there. A socket of nobody who can be seen is "unknown"."""
    ports: dict[str, int] = {}
    for name in ("tcp", "tcp6"):
        ports.update(parse_listening(_read(proc / "net" / name)))
    owners = dict(_owners(proc, set(ports)))
    return {str(port): owners.get(inode, "unknown") for inode, port in sorted(ports.items(), key=lambda item: item[1])}


def _owners(proc: Path, inodes: set[str]) -> Iterator[tuple[str, str]]:
    for process in proc.glob("[0-9]*"):
        held = {match.group(1) for link in _descriptors(process) if (match := SOCKET.fullmatch(link))} & inodes
        if held:
            owner = parse_unit(_read(process / "cgroup")) or _read(process / "comm").strip()
            yield from ((inode, owner) for inode in held)


def _descriptors(process: Path) -> Iterator[str]:
    """What a process holds open. One that it closes meanwhile is left out, and not the whole process for it."""
    try:
        descriptors = list((process / "fd").iterdir())
    except OSError:
        return
    for descriptor in descriptors:
        with suppress(OSError):
            yield str(descriptor.readlink())


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
