# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deletes files of the fixed list. Never follows a link, enters another file system, or takes a path from a caller."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from .._disk import link_target, sync_folder
from .errors import ResetError
from .owned import DISKS, DROP_INS, EMPTIED, NOTES, TREES, commands, drop_ins, unit_files
from .system import System

LAST = "/var/lib/holdfast"


class Files:
    """Trees, unit files, drop-ins and links to commands. `keep` are folders below the trees that stay."""

    def __init__(self, system: System, keep: Sequence[str] = ()) -> None:
        self._system = system
        self._keep = tuple(keep)

    def look(self) -> list[str]:
        return [*self._single(), *(tree for tree in TREES if self._has_content(tree)), *self._empty_folders()]

    def refuse_links(self) -> None:
        """A folder that is really somewhere else may hold what is not ours."""
        for tree in TREES:
            target = link_target(self._system.path(tree))
            if target is not None:
                raise ResetError(
                    f"{tree} is a link to {target}, and a reset deletes no folder through a link. Nothing was changed. "
                    "Look at that folder, remove the link and what is Holdfast's in it by hand, then run this again."
                )

    def clear(self) -> None:
        """All but the folder that tells how the rest was found."""
        for path in self._single():
            self._delete_single(self._system.path(path))
        for tree in TREES:
            if tree != LAST:
                self._delete_tree(tree)
        for folder in self._empty_folders():
            self._system.path(folder).rmdir()

    def _empty_folders(self) -> list[str]:
        """The deepest first; one counts as empty when all in it goes before it."""
        gone: list[str] = []
        for folder in EMPTIED:
            path = self._system.path(folder)
            if path.is_dir() and all(f"{folder}/{entry.name}" in gone for entry in path.iterdir()):
                gone.append(folder)
        return gone

    def clear_last(self) -> None:
        self._delete_tree(LAST)

    def _single(self) -> list[str]:
        root = self._system.root
        notes = [path for path in (self._system.path(note) for note in NOTES) if path.is_file()]
        paths = [*unit_files(root), *drop_ins(root), *commands(root), *notes]
        return list(dict.fromkeys(f"/{path.relative_to(root)}" for path in paths))

    def _has_content(self, tree: str) -> bool:
        path = self._system.path(tree)
        if path.is_symlink() or not path.is_dir():
            return path.is_symlink() or path.exists()
        if self._stays(tree):
            return any(not self._is_kept(f"{tree}/{entry.name}") for entry in path.iterdir())
        return True

    def _stays(self, tree: str) -> bool:
        """A disk stays where it is mounted, and so does what leads to a folder that is kept."""
        path = self._system.path(tree)
        return (tree in DISKS and os.path.ismount(path)) or self._leads_to_kept(tree)

    def _leads_to_kept(self, path: str) -> bool:
        return any(kept.startswith(f"{path}/") and self._system.path(kept).exists() for kept in self._keep)

    def _is_kept(self, path: str) -> bool:
        inside = any(path == kept or path.startswith(f"{kept}/") for kept in self._keep)
        return inside or (self._leads_to_kept(path) and self._only_kept(path))

    def _only_kept(self, path: str) -> bool:
        folder = self._system.path(path)
        return all(self._is_kept(f"{path}/{entry.name}") for entry in folder.iterdir())

    def _delete_single(self, path: Path) -> None:
        if path.is_dir() and not path.is_symlink():
            # The drop-ins of a unit of ours.
            self._empty(path, str(path), path.lstat().st_dev)
            path.rmdir()
        else:
            path.unlink(missing_ok=True)
        parent = path.parent
        if not parent.is_dir():
            return
        if parent.suffix in (".d", ".wants", ".requires") and str(parent) not in DROP_INS and not any(parent.iterdir()):
            parent.rmdir()
            parent = parent.parent
        sync_folder(parent)

    def _delete_tree(self, tree: str) -> None:
        if tree not in TREES:
            raise ResetError(f"{tree or 'An empty path'} is not Holdfast's to delete. Nothing was done to it.")
        path = self._system.path(tree)
        if path.is_symlink() or not path.exists():
            return
        self._empty(path, tree, path.lstat().st_dev)
        if not self._stays(tree):
            path.rmdir()
        sync_folder(path.parent)

    def _empty(self, folder: Path, absolute: str, device: int) -> None:
        for entry in sorted(folder.iterdir()):
            name = f"{absolute}/{entry.name}"
            if self._is_kept(name):
                continue
            stats = entry.lstat()
            if not stat.S_ISDIR(stats.st_mode):
                entry.unlink()
            elif stats.st_dev != device and name in DISKS:
                self._empty(entry, name, stats.st_dev)
            elif stats.st_dev != device:
                raise ResetError(
                    f"{name} is another file system, so nothing in it was deleted. "
                    "See what it is, umount it, and run this again."
                )
            else:
                self._empty(entry, name, device)
                if not self._leads_to_kept(name):
                    entry.rmdir()
