# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compares the files of a bundle with what they should be, at the speed of the disk."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from .errors import BundleError
from .files import sha256_of
from .manifest import MANIFEST_NAME, Entry
from .signatures import signatures_in

OK = "ok"
MISSING = "missing"
CHANGED = "changed"
UNKNOWN = "unknown"


@dataclass(frozen=True)
class Finding:
    """The state of one path."""

    path: str
    state: str
    sentence: str = ""


def inspect_file(bundle: Path, entry: Entry) -> Finding:
    """Whether one file is there and is what it should be."""
    path = bundle / entry.path
    if path.is_symlink() or any(parent.is_symlink() for parent in path.parents if bundle in parent.parents):
        return Finding(entry.path, CHANGED, f"{entry.path} is a link, not a file")
    if not path.is_file():
        return Finding(entry.path, MISSING, f"{entry.path} is missing")
    size = path.stat().st_size
    if size != entry.size:
        return Finding(entry.path, CHANGED, f"{entry.path} has {size} bytes where {entry.size} were expected")
    actual = sha256_of(path)
    if actual != entry.sha256:
        return Finding(entry.path, CHANGED, f"{entry.path} has sha256 {actual} where {entry.sha256} was expected")
    return Finding(entry.path, OK)


def inspect(bundle: Path, entries: Iterable[Entry]) -> list[Finding]:
    """The state of every file that the entries name, and of every file that they do not name."""
    listed = sorted(entries, key=lambda entry: entry.path)
    # Hashing lets other threads run, so two keep disk and processor busy.
    with ThreadPoolExecutor(max_workers=2) as pool:
        findings = list(pool.map(lambda entry: inspect_file(bundle, entry), listed))
    known = {entry.path for entry in listed} | {MANIFEST_NAME, *signatures_in(bundle, listed)}
    findings += [
        Finding(path, UNKNOWN, f"{path} is not in {MANIFEST_NAME}") for path in files_below(bundle) if path not in known
    ]
    return findings


def checked_file(bundle: Path, entry: Entry) -> Path:
    """One file of a bundle that is about to be used: what the manifest says, or an error."""
    finding = inspect_file(bundle, entry)
    if finding.state == MISSING:
        raise BundleError(
            f"{bundle / entry.path} is in the bundle's list and not there. Nothing was copied. "
            "Run playbooks/bundle.yml again."
        )
    if finding.state != OK:
        raise BundleError(
            f"{bundle / entry.path} was changed after the bundle was made: {finding.sentence}. Nothing was copied. "
            "Run playbooks/bundle.yml again, which mends it, and ask who wrote to it."
        )
    return bundle / entry.path


def files_below(bundle: Path) -> list[str]:
    """Everything in the folder that is not a folder."""
    return sorted(
        path.relative_to(bundle).as_posix() for path in bundle.rglob("*") if path.is_symlink() or not path.is_dir()
    )
