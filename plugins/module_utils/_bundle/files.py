# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing and hashing files so that a power cut leaves either the old or the new, never half of one."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .errors import BundleError

BLOCK = 1 << 20


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, read in blocks."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def key_of(facts: Mapping[str, Any]) -> str:
    """One digest for a set of facts: equal facts, equal key."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def sync_directory(directory: Path) -> None:
    """Make a rename in this directory survive a power cut."""
    handle = os.open(directory, os.O_RDONLY)
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


def put_in_place(temporary: Path, final: Path, mode: int = 0o644) -> None:
    """Turn a finished temporary file into the final one, in one step that survives a power cut."""
    # The file system of a USB stick may know no modes.
    with contextlib.suppress(PermissionError):
        temporary.chmod(mode)
    sync_file(temporary)
    temporary.replace(final)
    sync_directory(final.parent)


def write_whole(path: Path, text: str, mode: int = 0o644) -> None:
    """Write a small file, all of it or nothing of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        put_in_place(temporary, path, mode)
    finally:
        temporary.unlink(missing_ok=True)


def link_or_copy(source: Path, target: Path) -> None:
    """A hard link where the file system allows it, a copy where not."""
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK, errno.ENOTSUP):
            raise
        shutil.copyfile(source, target)


def remove_tree(path: Path) -> None:
    """Remove a file or folder of ours if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def disk_sentences(where: Path, doing: str) -> Iterator[None]:
    """Turn what the file system refuses into one sentence about what was being done."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise BundleError(
                f"{doing}: no space is left on the disk that holds {where}. What was there before is untouched. "
                "Free some space or choose another path, then run it again; finished parts are not made twice."
            ) from error
        if error.errno == errno.EFBIG:
            raise BundleError(
                f"{doing}: the file system of {where} takes no file that large. Choose a path on another one; a stick "
                "with FAT takes 4 GiB, with exFAT or ext4 more."
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise BundleError(
                f"{doing}: {error.filename or where} cannot be written ({error.strerror}). "
                "Choose a path that the user who runs this may write to."
            ) from error
        raise
