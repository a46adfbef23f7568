# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The node's part, second: take what arrived, and let the wanted version be the current one.

The order makes every moment a safe one for a power cut: a version counts as installed when its record is there, which
is written last; links are replaced in one step; and what is running is never written to.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .._disk import link_target, put_link, sync_file, sync_folder
from .._versions import version_key
from .errors import ArtifactError
from .look import versions_in
from .places import BASE, CURRENT, PREVIOUS, RECORD
from .records import Records, sha256_of

UNTOUCHED = "What is in use was not touched."


def prepare(incoming: Path, owner: int) -> None:
    """An empty folder for what comes, which only the user of the connection may write to."""
    _clear(incoming)
    made = [folder for folder in (incoming.parent, *incoming.parent.parents) if not folder.exists()]
    for folder in reversed(made):
        folder.mkdir(mode=0o755)
        folder.chmod(0o755)
        sync_folder(folder.parent)
    incoming.mkdir(mode=0o700)
    os.chown(incoming, owner, -1)


def install_version(
    name: str, version: str, incoming: Path, files: Mapping[str, Mapping[str, Any]], base: Path = BASE
) -> None:
    """Verify what arrived and move it to its version."""
    folder = base / name / version
    _verify(incoming, files)
    for place in (base, base / name, folder):
        with contextlib.suppress(FileExistsError):
            place.mkdir(mode=0o755)
        place.chmod(0o755)
    for file in files:
        _take(incoming / file, folder / file, 0o755)
    sync_folder(folder)
    Records(folder / RECORD).save({folder / file: str(facts["sha256"]) for file, facts in files.items()})
    sync_folder(folder.parent)
    _clear(incoming)


def install_file(name: str, dest: Path, incoming: Path, facts: Mapping[str, Any], base: Path = BASE) -> None:
    """Verify the one file that arrived and move it to its path."""
    _verify(incoming, {dest.name: facts})
    _take(incoming / dest.name, dest, 0o644)
    sync_folder(dest.parent)
    record = base / name / RECORD
    record.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    Records(record).save({dest: str(facts["sha256"])})
    _clear(incoming)


def mend_modes(name: str, version: str, files: Sequence[str], base: Path = BASE) -> None:
    """Programs that only their owner may change; the record learns the new times."""
    folder = base / name / version
    records = Records(folder / RECORD)
    owner = folder.stat()
    digests = {}
    for file in files:
        path = folder / file
        digests[path] = records.digest(path)
        os.chown(path, owner.st_uid, owner.st_gid)
        path.chmod(0o755)
    records.save(digests)


def activate(name: str, version: str, base: Path = BASE) -> bool:
    """Let `current` lead to the version, and `previous` to the one before; whether that was a change."""
    component = base / name
    before = link_target(component / CURRENT)
    if before == version:
        return False
    if before:
        put_link(component / PREVIOUS, before)
        sync_folder(component)
    put_link(component / CURRENT, version)
    sync_folder(component)
    return True


def put_links(name: str, links: Mapping[str, str], base: Path = BASE) -> None:
    """Links from elsewhere to files of whatever version is current."""
    for path, file in links.items():
        if put_link(Path(path), str(base / name / CURRENT / file)):
            sync_folder(Path(path).parent)


def prune(name: str, keep: int, base: Path = BASE) -> list[str]:
    """Remove the oldest versions; the current, the previous and the newest ones stay."""
    component = base / name
    used = {link_target(component / CURRENT), link_target(component / PREVIOUS)}
    found = versions_in(component)
    newest = sorted(found, key=version_key)[-keep:] if keep else []
    gone = [version for version in found if version not in used and version not in newest]
    for version in gone:
        folder = component / version
        files = Records(folder / RECORD).names
        # Without its record a version does not count as installed, so that goes first.
        (folder / RECORD).unlink()
        for file in files:
            with contextlib.suppress(FileNotFoundError):
                (folder / file).unlink()
        # Something of another hand is in it: it stays where it is.
        with contextlib.suppress(OSError):
            folder.rmdir()
        sync_folder(component)
    return gone


def _verify(incoming: Path, files: Mapping[str, Mapping[str, Any]]) -> None:
    """Nobody but us may write to it any more, and it is what was sent."""
    for file, facts in files.items():
        path = incoming / file
        if path.is_symlink() or not path.is_file():
            raise ArtifactError(f"{file} did not arrive at {incoming}. {UNTOUCHED} Run this again.")
        os.chown(path, os.geteuid(), os.getegid())
        path.chmod(0o600)
        size = path.stat().st_size
        if size != facts["size"]:
            raise ArtifactError(
                f"{size} of {facts['size']} bytes of {file} arrived, so it was refused. {UNTOUCHED} Run this again."
            )
        if sha256_of(path) != facts["sha256"]:
            raise ArtifactError(
                f"{file} arrived with another sha256 than {facts['sha256']}, so it was refused. {UNTOUCHED} "
                "Run this again; if it happens again, look at the link and the disk of this node."
            )


def _take(arrived: Path, final: Path, mode: int) -> None:
    arrived.chmod(mode)
    sync_file(arrived)
    arrived.replace(final)


def _clear(incoming: Path) -> None:
    """Remove the folder of what comes, and what an interrupted run left in it; nothing below it is a folder of ours."""
    if incoming.is_symlink() or not incoming.is_dir():
        return
    for path in incoming.iterdir():
        path.unlink()
    incoming.rmdir()
