# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tar archives that are the same bytes whenever and wherever they are made from the same files."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path


def entry(name: str, size: int = 0, mode: int = 0o644, kind: bytes = tarfile.REGTYPE) -> tarfile.TarInfo:
    """A member without owner, date or anything else of this machine."""
    info = tarfile.TarInfo(name)
    info.size = size
    info.mode = mode
    info.type = kind
    return info


def add_bytes(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    archive.addfile(entry(name, len(content)), io.BytesIO(content))


def add_file(archive: tarfile.TarFile, name: str, path: Path, mode: int = 0o644) -> None:
    with path.open("rb") as stream:
        archive.addfile(entry(name, path.stat().st_size, mode), stream)


def add_folder(archive: tarfile.TarFile, name: str) -> None:
    archive.addfile(entry(name, mode=0o755, kind=tarfile.DIRTYPE))
