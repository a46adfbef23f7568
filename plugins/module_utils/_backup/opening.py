# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Opens a sealed backup on the controller: every file in it is compared with the manifest, kept or not."""

from __future__ import annotations

import hashlib
import os
import tarfile
from collections.abc import Mapping
from pathlib import Path

from .errors import BackupError
from .sealing import opened_tar
from .shape import BLOCK, CONTROLLER_PART, LARGEST_SMALL, MANIFEST, NODE_PART, SNAPSHOT, File, Manifest, Sealed, reading

AGAIN = "Nothing was changed. Take another backup."


def open_node_part(age: str, identity: bytes, sealed: Sealed, to: Path | None = None) -> Manifest:
    """The manifest, after each file was found to be the one that it names; the files go to `to` where that is given."""
    with opened_tar(age, identity, sealed.blocks(NODE_PART), str(sealed.path)) as tar:
        first = tar.next()
        stream = tar.extractfile(first) if first and first.name == MANIFEST and first.size <= LARGEST_SMALL else None
        if stream is None:
            raise BackupError(f"{sealed.path} does not begin with {MANIFEST} behind its seal. {AGAIN}")
        manifest = Manifest.parse(stream.read(), sealed.path)
        left = {file.path: file for file in manifest.files}
        while (member := tar.next()) is not None:
            _take(sealed.path, tar, member, left.pop(member.name, None), to)
    if left:
        raise BackupError(f"{sealed.path} was refused: {sorted(left)[0]} is missing in it. {AGAIN}")
    if manifest.header != sealed.header:
        raise BackupError(
            f"{sealed.path} was refused: what it says of itself outside its seal is not what it says inside. {AGAIN}"
        )
    if not manifest.of(SNAPSHOT) or not manifest.of("k3s/token"):
        raise BackupError(
            f"{sealed.path} has no snapshot or no token in it, so nothing can be restored from it. {AGAIN}"
        )
    return manifest


def _take(source: Path, tar: tarfile.TarFile, member: tarfile.TarInfo, file: File | None, to: Path | None) -> None:
    if file is None or not member.isreg() or member.size != file.size:
        raise BackupError(f"{source} was refused: {member.name!r} is not what its {MANIFEST} names. {AGAIN}")
    stream = reading(tar, member)
    digest = hashlib.sha256()
    handle = -1
    if to:
        target = to / file.path
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        while block := stream.read(BLOCK):
            digest.update(block)
            if handle >= 0:
                os.write(handle, block)
    finally:
        if handle >= 0:
            os.close(handle)
    if digest.hexdigest() != file.sha256:
        raise BackupError(f"{source} was refused: {file.path} in it is not the one of its {MANIFEST}. {AGAIN}")


def open_controller_part(age: str, identity: bytes, sealed: Sealed) -> Mapping[str, bytes]:
    """The controller's secrets by name; none where no controller took part."""
    if CONTROLLER_PART not in sealed.parts:
        return {}
    found: dict[str, bytes] = {}
    with opened_tar(age, identity, sealed.blocks(CONTROLLER_PART), str(sealed.path)) as tar:
        while (member := tar.next()) is not None:
            stream = tar.extractfile(member) if member.isreg() and member.size <= LARGEST_SMALL else None
            parts = Path(member.name).parts
            if stream is None or Path(member.name).is_absolute() or ".." in parts:
                raise BackupError(f"{sealed.path} was refused: {member.name!r} does not belong among secrets. {AGAIN}")
            found[member.name] = stream.read()
    return found
