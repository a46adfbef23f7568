# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings a backup back from the store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .._s3.client import bucket_of
from .._s3.errors import StoreError, StoreMissingError
from .errors import BackupError
from .shape import SUFFIX, inspect, sha256_of

STORE_OPTIONS: dict[str, dict[str, Any]] = {
    "endpoint": {"type": "str", "required": True},
    "bucket": {"type": "str", "required": True},
    "prefix": {"type": "str", "default": ""},
    "region": {"type": "str", "default": "us-east-1"},
    "access_key": {"type": "str", "required": True, "no_log": False},
    "secret_key": {"type": "str", "required": True, "no_log": True},
    "ca_file": {"type": "str", "default": ""},
}


@dataclass(frozen=True)
class Fetched:
    """Where the backup lies now."""

    path: Path
    changed: bool


def fetch(store: Mapping[str, str], site: str, name: str, folder: Path, dry: bool) -> Fetched:
    """The named backup, or the newest of the site; its time is in its name."""
    bucket = bucket_of(store)
    if not name:
        names = [entry.key for entry in bucket.list() if is_of(site, entry.key)]
        if not names:
            raise BackupError(f"{bucket.where} holds no backup of {site}, so nothing was brought.")
        name = max(names, key=lambda key: key[len(site) + 1 :])
    if "/" in name or name.startswith("."):
        raise BackupError(f"{name!r} is no name of a backup.")
    stored = bucket.head(name)
    if stored is None:
        raise BackupError(f"{bucket.where} holds no {name}, so nothing was brought.")
    path = folder / name
    if path.is_file() and path.stat().st_size == stored.size and stored.sha256 == sha256_of(path):
        return Fetched(path, False)
    if dry:
        return Fetched(path, True)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        digest = bucket.get(name, path)
    except StoreMissingError as error:
        raise StoreError(f"{bucket.where}/{name} went away while it was read. Run this again.") from error
    if stored.sha256 and digest != stored.sha256:
        path.unlink()
        raise BackupError(
            f"{bucket.where}/{name} is not the file that was sent there: its sha256 is {digest}, not {stored.sha256}. "
            "It was removed again. Take another backup."
        )
    inspect(path)
    return Fetched(path, True)


def is_of(site: str, key: str) -> bool:
    """Whether a key is <site>-<time>-<node>.backup.tar; the name of one site may begin with that of another."""
    rest = key[len(site) + 1 :]
    return key.startswith(f"{site}-") and key.endswith(SUFFIX) and rest[:8].isdigit() and rest[8:9] == "T"
