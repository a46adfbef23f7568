# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts a finished folder in the place of another, so that at any moment one of the two is whole and in place."""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterator
from pathlib import Path

from .errors import BundleError
from .files import disk_sentences, remove_tree, sync_directory
from .manifest import MANIFEST_NAME

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


def refuse_foreign(path: Path, remedy: str = "Choose another bundle_path") -> None:
    """A folder that holds something else than a bundle is not ours to replace."""
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        raise BundleError(f"{path} is not a folder, so nothing was changed. {remedy}.")
    if path.is_dir() and not (path / MANIFEST_NAME).is_file() and any(path.iterdir()):
        raise BundleError(
            f"{path} holds files but no {MANIFEST_NAME}, so it is not a bundle and nothing was changed. {remedy}."
        )


def beside(path: Path, suffix: str) -> Path:
    """A neighbour on the same file system."""
    return path.parent / f".{path.name}.{suffix}"


@contextlib.contextmanager
def staged(path: Path) -> Iterator[Path]:
    """A new folder that takes the place of `path` when the block ends well, and vanishes when it does not."""
    fresh, old = beside(path, "new"), beside(path, "old")
    with disk_sentences(path, f"writing the bundle {path}"):
        recover(path)
        fresh.mkdir(parents=True)
        try:
            yield fresh
            _sync_tree(fresh)
            if path.exists() and not _exchange(fresh, path):
                # Two steps where the file system knows no exchange; `recover` mends a cut between them.
                path.rename(old)
                fresh.rename(path)
            elif not path.exists():
                fresh.rename(path)
            sync_directory(path.parent)
        finally:
            remove_tree(fresh)
            remove_tree(old) if path.exists() else None


def recover(path: Path) -> None:
    """Undo what a kill or a power cut left behind. Only for the holder of the bundle's lock."""
    old = beside(path, "old")
    if old.is_dir() and not path.exists():
        old.rename(path)
    remove_tree(old)
    remove_tree(beside(path, "new"))


def _exchange(one: Path, other: Path) -> bool:
    """Swap two names in one step; False where kernel or file system cannot."""
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return False
    done = rename(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE)
    return bool(done == 0)


def _sync_tree(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_dir():
            sync_directory(path)
    sync_directory(folder)
