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


def add_link(archive: tarfile.TarFile, name: str, target: str) -> None:
    info = entry(name, mode=0o777, kind=tarfile.SYMTYPE)
    info.linkname = target
    archive.addfile(info)


def add_tree(archive: tarfile.TarFile, tree: Path) -> None:
    """All below a folder, in the order of names. Of modes only "may be run" is kept, so nothing runs as its owner."""
    for path in sorted(tree.rglob("*"), key=lambda path: path.relative_to(tree).parts):
        name = path.relative_to(tree).as_posix()
        if path.is_symlink():
            add_link(archive, name, str(path.readlink()))
        elif path.is_dir():
            add_folder(archive, name)
        else:
            add_file(archive, name, path, 0o755 if path.stat().st_mode & 0o111 else 0o644)
