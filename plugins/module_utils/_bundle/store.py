# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Content kept by its SHA-256 below the cache, and the records that say which recipe gave which content."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .files import disk_sentences, put_in_place, remove_tree, sha256_of, sync_directory, write_whole
from .progress import Progress


@dataclass(frozen=True)
class Content:
    """Which bytes: their digest and their number."""

    sha256: str
    size: int


@dataclass(frozen=True)
class Record:
    """What a recipe gave: the content of each file, and where it came from in words."""

    files: Mapping[str, Content]
    source: str


class Store:
    """Nothing that is taken from here is trusted: it is read and hashed first."""

    def __init__(self, cache: Path, progress: Progress) -> None:
        self._root = cache / "store"
        self._progress = progress
        self.partial = self._root / "partial"
        self._records = self._root / "records"
        self._temporary = self._root / "tmp"

    def open(self) -> None:
        """Make the folders, and clear what a killed run left behind. Only for the holder of the cache's lock."""
        with disk_sentences(self._root, "opening the cache"):
            remove_tree(self._temporary)
            for folder in (self.partial, self._records, self._temporary):
                folder.mkdir(parents=True, exist_ok=True)

    def workspace(self, name: str) -> Path:
        """A new empty folder on the store's own disk; whatever happens, the next open() takes it away."""
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self._temporary))

    def path_of(self, sha256: str) -> Path:
        return self._root / "sha256" / sha256[:2] / sha256

    def verified(self, sha256: str, what: str) -> Path | None:
        """The path of content that was hashed just now, or None; a damaged entry is named and removed."""
        path = self.path_of(sha256)
        if not path.is_file():
            return None
        actual = sha256_of(path)
        if actual == sha256:
            return path
        path.unlink()
        self._progress.say(f"the cached copy of {what} is damaged (sha256 is {actual}), so it is obtained again")
        return None

    def add(self, file: Path) -> Content:
        """Take in a finished file under its digest."""
        content = Content(sha256_of(file), file.stat().st_size)
        final = self.path_of(content.sha256)
        with disk_sentences(self._root, f"keeping {file.name} in the cache"):
            final.parent.mkdir(parents=True, exist_ok=True)
            sync_directory(final.parent.parent)
            put_in_place(file, final)
        return content

    def record(self, key: str) -> Record | None:
        """What this recipe gave the last time; a record that cannot be read counts as none."""
        try:
            data = json.loads((self._records / f"{key}.json").read_text(encoding="utf-8"))
            files = {name: Content(str(item["sha256"]), int(item["size"])) for name, item in data["files"].items()}
            return Record(files, str(data["source"]))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def remember(self, key: str, record: Record) -> None:
        files = {name: {"sha256": item.sha256, "size": item.size} for name, item in record.files.items()}
        with disk_sentences(self._root, "keeping a record in the cache"):
            text = json.dumps({"files": files, "source": record.source}, indent=1, sort_keys=True)
            write_whole(self._records / f"{key}.json", text + "\n")
