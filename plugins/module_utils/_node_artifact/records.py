# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was verified, so that a file of 200 MB is hashed again only after somebody touched it.

A file counts as untouched while size, number, time of change and time of attributes are those that were seen when it
was hashed; the kernel sets the last one, whoever writes.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .._disk import sync_folder, temporary_for

BLOCK = 1 << 20


def sha256_of(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(BLOCK):
            digest.update(block)
    return digest.hexdigest()


def stamp(path: Path) -> dict[str, int]:
    """What tells that a file was not touched."""
    stats = path.stat()
    return {"size": stats.st_size, "inode": stats.st_ino, "mtime": stats.st_mtime_ns, "ctime": stats.st_ctime_ns}


class Records:
    """One file with the digests of the files beside it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known = _read(path)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._known)

    def wanted_digest(self, name: str) -> str:
        """The digest that the file had when it came."""
        return str(self._known.get(name, {}).get("sha256", ""))

    def digest(self, path: Path) -> str:
        """The digest of the file as it is now; empty where it is not there."""
        if not path.is_file() or path.is_symlink():
            return ""
        known = self._known.get(path.name, {})
        return str(known["sha256"]) if known.get("stamp") == stamp(path) else sha256_of(path)

    def save(self, digests: Mapping[Path, str]) -> None:
        """Remember these files as they are now, beside those that were known."""
        self._known.update({path.name: {"sha256": digest, "stamp": stamp(path)} for path, digest in digests.items()})
        temporary = temporary_for(self._path)
        with contextlib.suppress(FileNotFoundError):
            temporary.unlink()
        with temporary.open("w", encoding="utf-8") as stream:
            json.dump({"files": self._known}, stream, indent=1, sort_keys=True)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.chmod(0o644)
        temporary.replace(self._path)
        sync_folder(self._path.parent)


def _read(path: Path) -> dict[str, Any]:
    try:
        known = json.loads(path.read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError, KeyError, TypeError):
        # Not there, or not ours: everything is hashed again.
        return {}
    return known if isinstance(known, dict) else {}
