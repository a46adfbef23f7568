# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The folder of backups on a node: what lies there, what the store has, and what is too old to stay."""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .._s3.client import Bucket, bucket_of
from .._s3.errors import StoreError
from .errors import BackupError
from .make import sync_folder
from .settings import Settings
from .shape import SUFFIX, Header, inspect, read_header, sha256_of

SENT = ".sent"


@dataclass(frozen=True)
class Kept:
    """One backup in the folder. `sent` is where it was sent to, empty while it waits."""

    path: Path
    header: Header
    size: int
    sent: str = ""

    def as_dict(self) -> dict[str, Any]:
        return {
            "name": self.path.name,
            "path": str(self.path),
            "size": self.size,
            "site": self.header.site,
            "node": self.header.node,
            "created": self.header.created,
            "etcd_version": self.header.etcd_version,
            "k3s_version": self.header.k3s_version,
            "sent": self.sent,
        }


def kept(folder: Path, site: str = "") -> list[Kept]:
    """The backups of a folder, the newest first; files that are none are left alone."""
    found = []
    for path in folder.glob(f"*{SUFFIX}") if folder.is_dir() else ():
        try:
            header = read_header(path)
        except BackupError:
            continue
        if not site or header.site == site:
            found.append(Kept(path, header, path.stat().st_size, _sent(path)))
    return sorted(found, key=lambda entry: (entry.header.created, entry.path.name), reverse=True)


def _mark(path: Path) -> Path:
    return path.with_name(path.name + SENT)


def _sent(path: Path) -> str:
    try:
        return str(json.loads(_mark(path).read_text(encoding="utf-8"))["store"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def prune(folder: Path, site: str, keep: int, dry: bool = False) -> list[Path]:
    """Remove all but the newest; what was removed. Backups of other sites are not counted and not touched."""
    old = kept(folder, site)[max(keep, 1) :]
    for entry in () if dry else old:
        entry.path.unlink(missing_ok=True)
        _mark(entry.path).unlink(missing_ok=True)
    if old and not dry:
        sync_folder(folder)
    return [entry.path for entry in old]


@dataclass(frozen=True)
class Sending:
    """What came of a look at the queue. `problem` is a sentence; what is left is sent by the next run."""

    sent: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
    problem: str = ""


def waiting(settings: Settings) -> list[Kept]:
    """The oldest first, so that the store has no gap when the line breaks again."""
    if not settings.store:
        return []
    where = bucket_of(settings.store).where
    return [entry for entry in reversed(kept(settings.folder, settings.site)) if entry.sent != where]


def send(settings: Settings, bucket: Bucket | None = None) -> Sending:
    """Send what waits. A store that cannot be reached is no failure of the backup: the file stays and waits."""
    done: list[str] = []
    queue: list[Kept] = []
    try:
        queue = waiting(settings)
        if queue:
            to = bucket or bucket_of(settings.store)
            for entry in queue:
                _send(entry, to)
                done.append(entry.path.name)
    except (StoreError, BackupError) as error:
        left = tuple(entry.path.name for entry in queue if entry.path.name not in done)
        return Sending(tuple(done), left, str(error))
    return Sending(tuple(done))


def _send(entry: Kept, to: Bucket) -> None:
    inspect(entry.path)
    digest = sha256_of(entry.path)
    there = to.head(entry.path.name)
    # A copy on another node may have been sent before this one.
    if there is None or there.size != entry.size or there.sha256 not in ("", digest):
        to.put(entry.path.name, entry.path, digest)
    _write_mark(entry.path, to.where)


def _write_mark(path: Path, where: str) -> None:
    mark = _mark(path)
    temporary = mark.with_name(f".{mark.name}.part")
    handle = os.open(temporary, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        json.dump({"store": where, "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}, stream)
        stream.flush()
        os.fsync(handle)
    temporary.replace(mark)
