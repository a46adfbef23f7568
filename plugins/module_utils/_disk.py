# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What survives a power cut: folders that are synced, and links that are replaced in one step."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """Make what was renamed, made or removed in this folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_file(path: Path) -> None:
    """Push a file's content to the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def temporary_for(path: Path) -> Path:
    """Where the next content of `path` waits: beside it, hidden, and under no name that a program would read."""
    return path.with_name(f".{path.name}.holdfast-new")


def link_target(path: Path) -> str | None:
    """Where a symbolic link leads, or None where there is none."""
    try:
        return os.readlink(path)  # noqa: PTH115  # Path.readlink would normalise what is written in the link
    except OSError:
        return None


def put_link(path: Path, target: str) -> bool:
    """Let `path` be a symbolic link to `target`, in one step; whether it was changed. The folder is not synced."""
    if link_target(path) == target:
        return False
    temporary = temporary_for(path)
    with contextlib.suppress(FileNotFoundError):
        temporary.unlink()
    temporary.symlink_to(target)
    try:
        temporary.replace(path)
    except OSError:
        temporary.unlink()
        raise
    return True
