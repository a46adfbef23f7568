# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The node's part, first: what is there."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .._disk import link_target
from .._versions import version_key
from .places import BASE, CURRENT, PREVIOUS, RECORD, free_bytes, incoming_for
from .records import Records


def look(name: str, dest: str, links: Mapping[str, str], base: Path = BASE) -> dict[str, Any]:
    """All that the controller must know to decide, in one answer."""
    component = base / name
    place = Path(dest).parent if dest else component
    return {
        "machine": platform.machine(),
        "current": link_target(component / CURRENT) or "",
        "previous": link_target(component / PREVIOUS) or "",
        "versions": {} if dest else {version: _version(component / version) for version in versions_in(component)},
        "dest_sha256": Records(component / RECORD).digest(Path(dest)) if dest else "",
        "dest_folder": not dest or place.is_dir(),
        "links": {path: _what_is_at(Path(path)) for path in links},
        "free_bytes": free_bytes(place),
        "incoming": str(incoming_for(dest, component)),
    }


def versions_in(component: Path) -> list[str]:
    """The versions that were installed whole, oldest first."""
    if not component.is_dir():
        return []
    folders = [path for path in component.iterdir() if path.is_dir() and not path.is_symlink()]
    return sorted((path.name for path in folders if (path / RECORD).is_file()), key=version_key)


def _version(folder: Path) -> dict[str, dict[str, Any]]:
    records = Records(folder / RECORD)
    return {
        name: {
            "sha256": records.digest(folder / name),
            "came_as": records.wanted_digest(name),
            "runs": _runs(folder / name),
        }
        for name in records.names
    }


def _runs(path: Path) -> bool:
    """Whether owner and mode are those of a program that only its owner may change."""
    if not path.is_file():
        return False
    stats = path.stat()
    return (stats.st_uid, stats.st_mode & 0o7777) == (path.parent.stat().st_uid, 0o755)


def _what_is_at(path: Path) -> str:
    """Where the link leads; '' for nothing, '!' for something that is no link."""
    target = link_target(path)
    if target is not None:
        return target
    return "!" if path.exists() else ""
