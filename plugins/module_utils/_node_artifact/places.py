# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where things are on a node."""

from __future__ import annotations

import os
from pathlib import Path

BASE = Path("/usr/local/lib/holdfast")
CURRENT, PREVIOUS = "current", "previous"
INCOMING = ".holdfast-incoming"
RECORD = ".verified.json"


def incoming_for(dest: str, component: Path) -> Path:
    """Where files wait until they were verified: on the file system of their place, where a rename is one step.

    Beside the component's versions. For a single file, a folder higher where that is the same file system, since some
    folders are watched by those who use what is in them.
    """
    if not dest:
        return component / INCOMING
    folder = Path(dest).parent
    higher = folder.parent
    same = existing(folder).stat().st_dev == existing(higher).stat().st_dev
    return (higher if same and folder.is_dir() else folder) / f"{INCOMING}-{Path(dest).name}"


def existing(path: Path) -> Path:
    """The path, or the nearest folder above it that is there."""
    while not path.exists():
        path = path.parent
    return path


def free_bytes(path: Path) -> int:
    stats = os.statvfs(existing(path))
    return stats.f_bavail * stats.f_frsize
