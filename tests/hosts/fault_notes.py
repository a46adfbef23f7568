# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Notes of what was done to each host, so that ``list`` can say why one is silent."""

from __future__ import annotations

import json
from pathlib import Path

from .files import write_atomically
from .model import Host, HostSet

PASSING = ("reboot",)
"""Faults that are over when the command returns."""


def add(host_set: HostSet, host: Host, fault: str) -> None:
    """Note the fault; the caller holds the host's lock."""
    if fault not in PASSING:
        path = _path(host_set, host.name)
        write_atomically(path, json.dumps(sorted({*_load(path), fault})) + "\n")


def clear(host_set: HostSet, host: Host) -> None:
    """Forget all faults of the host."""
    _path(host_set, host.name).unlink(missing_ok=True)


def read(host_set: HostSet) -> dict[str, list[str]]:
    """Return the noted faults of each host that has some."""
    noted = {host.name: _load(_path(host_set, host.name)) for host in host_set.hosts}
    return {name: faults for name, faults in noted.items() if faults}


def _path(host_set: HostSet, host_name: str) -> Path:
    return host_set.directory / "faults" / f"{host_name}.json"


def _load(path: Path) -> list[str]:
    try:
        return [str(fault) for fault in json.loads(path.read_text(encoding="utf-8"))]
    except (FileNotFoundError, ValueError):
        return []
