# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""bundle.json: what is in a bundle, one entry a file, always in the same order and the same bytes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath

from .catalogue_fields import SHA256
from .errors import BundleError

MANIFEST_NAME = "bundle.json"
SCHEMA = 1
# A manifest is read before anything is verified, so its size has a bound.
LARGEST = 16 << 20


@dataclass(frozen=True)
class Entry:
    """One file of the bundle."""

    path: str
    name: str
    version: str
    kind: str
    arch: str
    way: str
    size: int
    sha256: str
    licence: str
    origin: str
    source: str
    reference: str = ""

    @property
    def mode(self) -> int:
        """Programs can be run in place; all else is data."""
        return 0o755 if self.kind == "binaries" else 0o644

    @property
    def label(self) -> str:
        return f"{self.name} {self.version}" + (f" ({self.arch})" if self.arch != "all" else "")


def render(entries: Iterable[Entry]) -> str:
    """The text of bundle.json."""
    files = [
        {key: value for key, value in sorted(asdict(entry).items()) if value != ""}
        for entry in sorted(entries, key=lambda entry: entry.path)
    ]
    return json.dumps({"schema": SCHEMA, "files": files}, indent=2, ensure_ascii=False) + "\n"


def listing(entries: Iterable[Entry]) -> str:
    """One line a file, for the difference that a person reads."""
    return "".join(
        f"{entry.path}  {entry.size} bytes  sha256:{entry.sha256}  {entry.label}, {entry.way}\n"
        for entry in sorted(entries, key=lambda entry: entry.path)
    )


def parse(content: str | bytes, where: str) -> tuple[Entry, ...]:
    """Read bundle.json; it may come from a stick that anyone had in hand, so every path is judged."""
    try:
        data = json.loads(content)
        if data["schema"] != SCHEMA:
            raise BundleError(
                f"{where} has layout {data['schema']!r}, and this version reads {SCHEMA}. Use the version that made it."
            )
        entries = tuple(Entry(**item) for item in data["files"])
    except (ValueError, KeyError, TypeError) as error:
        raise BundleError(f"{where} cannot be read as a bundle's manifest ({error}).") from error
    seen: set[str] = set()
    for entry in entries:
        if not safe_path(entry.path) or entry.path == MANIFEST_NAME:
            raise BundleError(f"{where} names the path {entry.path!r}, which leads outside the bundle; it was refused.")
        if entry.path in seen:
            raise BundleError(f"{where} names {entry.path} twice; it was refused.")
        if not isinstance(entry.size, int) or entry.size < 0 or not SHA256.fullmatch(str(entry.sha256)):
            raise BundleError(f"{where} has no proper size and sha256 for {entry.path}; it was refused.")
        seen.add(entry.path)
    return entries


def safe_path(path: object) -> bool:
    """Whether a path is relative and stays below its folder."""
    if not isinstance(path, str) or not path or "\\" in path or "\0" in path:
        return False
    parts = PurePosixPath(path)
    return not parts.is_absolute() and ".." not in parts.parts and str(parts) == path


def manifest_bytes(bundle: Path) -> bytes | None:
    """bundle.json as it lies there, or None where there is none."""
    path = bundle / MANIFEST_NAME
    if not path.is_file():
        return None
    if path.stat().st_size > LARGEST:
        raise BundleError(f"{path} is too large to be a bundle's manifest; it was refused.")
    return path.read_bytes()


def read_manifest(bundle: Path) -> tuple[Entry, ...] | None:
    """The manifest of the bundle in this folder, whoever wrote it, or None where there is none."""
    content = manifest_bytes(bundle)
    return None if content is None else parse(content, str(bundle / MANIFEST_NAME))


def total_size(entries: Sequence[Entry]) -> int:
    return sum(entry.size for entry in entries)
