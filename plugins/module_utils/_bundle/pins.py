# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes the upstreams' own checksums into artifacts.yml, where a person reviews them before anything trusts them."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .catalogue import Artifact, fill
from .download import Patience
from .errors import BundleError
from .exchange import PassingError, RangeError, exchange, mirrored
from .files import disk_sentences, write_whole

LARGEST_CHECKSUM_FILE = 4 << 20


@dataclass(frozen=True)
class Pin:
    """A digest that an upstream publishes for one file."""

    artifact: Artifact
    architecture: str
    sha256: str
    checksums_url: str


@dataclass(frozen=True)
class Locked:
    """The text of artifacts.yml before and after, and what was written into it."""

    before: str
    after: str
    pins: tuple[Pin, ...]
    without_list: tuple[str, ...]

    @property
    def changed(self) -> bool:
        return self.before != self.after

    @property
    def summary(self) -> str:
        """What was done, and what is left for a person."""
        parts = [f"{len(self.pins)} checksums written down for review" if self.pins else "No checksum was missing"]
        if self.without_list:
            parts = [
                *parts[: len(self.pins)],
                f"no list of checksums (checksums_url) is known for {', '.join(self.without_list)}: write them by hand",
            ]
        return "; ".join(parts) + "."


def lock(
    path: Path,
    artifacts: Sequence[Artifact],
    mirror: Mapping[str, str],
    patience: Patience,
    recheck: bool,
    dry: bool,
) -> Locked:
    """Fill in the missing pins. A pin that is there and differs is never replaced: that is for a person to judge."""
    # A link to the catalogue stays a link.
    path = path.resolve()
    before = path.read_text(encoding="utf-8")
    found: list[Pin] = []
    without_list: list[str] = []
    for artifact in artifacts:
        release = artifact.release
        if release is None or not (recheck or None in release.sha256.values()):
            continue
        if release.checksums_url is None:
            if None in release.sha256.values():
                without_list.append(artifact.label)
            continue
        for architecture, present in release.sha256.items():
            pin = _published(artifact, architecture, mirror, patience)
            if present is not None and present != pin.sha256:
                raise BundleError(
                    f"{artifact.label} ({architecture}): artifacts.yml pins {present}, but {pin.checksums_url} now "
                    f"says {pin.sha256}. Nothing was written. Find out which is right: a publisher who replaces a "
                    "released file is a reason for distrust."
                )
            if present is None:
                found.append(pin)
    after = before
    for pin in found:
        after = write_pin(after, pin.artifact.name, pin.artifact.version, pin.architecture, pin.sha256)
    if after != before and not dry:
        with disk_sentences(path, f"writing {path}"):
            write_whole(path, after, mode=path.stat().st_mode & 0o777)
    return Locked(before, after, tuple(found), tuple(without_list))


def _published(artifact: Artifact, architecture: str, mirror: Mapping[str, str], patience: Patience) -> Pin:
    release = artifact.release
    if release is None or release.checksums_url is None:
        raise BundleError(f"{artifact.label} has no list of checksums.")
    source = fill(release.checksums_url, artifact.version, architecture, in_url=True)
    name = fill(release.urls[architecture], artifact.version, architecture).rpartition("/")[2]
    digest = find_digest(_fetch_text(artifact, mirrored(source, mirror), patience), name)
    if digest is None:
        raise BundleError(
            f"{artifact.label} ({architecture}): {source} names no sha256 for {name}. Nothing was written. Correct url "
            "or checksums_url in artifacts.yml."
        )
    return Pin(artifact, architecture, digest, source)


def _fetch_text(artifact: Artifact, url: str, patience: Patience) -> str:
    reason = ""
    for attempt in range(patience.tries_without_progress):
        try:
            with exchange(url, patience.timeout) as answer:
                content = answer.read(LARGEST_CHECKSUM_FILE + 1)
                length = answer.headers.get("Content-Length", "")
            if len(content) > LARGEST_CHECKSUM_FILE:
                raise BundleError(f"{artifact.label}: {url} is too large to be a list of checksums.")
            if not length.isdigit() or len(content) == int(length):
                return str(content.decode("utf-8", errors="replace"))
            reason = f"the connection ended after {len(content)} of {length} bytes"
        except (PassingError, RangeError, OSError) as error:
            reason = str(error)
        threading.Event().wait(min(patience.first_pause * 2**attempt, 30.0))
    raise BundleError(
        f"{artifact.label}: the list of checksums {url} cannot be read: {reason}. Nothing was written. Check the "
        "network or proxy, or set bundle_mirror."
    )


def find_digest(text: str, name: str) -> str | None:
    """The SHA-256 of one file in the lists that publishers write: GNU's, BSD's, or a digest alone."""
    found: set[str] = set()
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    for line in lines:
        gnu = re.fullmatch(r"([0-9A-Fa-f]{64})\s+[*]?(\S+)", line)
        bsd = re.fullmatch(r"SHA2?-?256\s*\((\S+)\)\s*=\s*([0-9A-Fa-f]{64})", line, re.I)
        digest, path = (gnu.group(1), gnu.group(2)) if gnu else (bsd.group(2), bsd.group(1)) if bsd else ("", "")
        if path.rpartition("/")[2] == name:
            found.add(digest.lower())
    if not found and len(lines) == 1 and re.fullmatch(r"[0-9A-Fa-f]{64}", lines[0]):
        found.add(lines[0].lower())
    # Two different digests for one name are no answer.
    return found.pop() if len(found) == 1 else None


def write_pin(text: str, name: str, version: str, architecture: str, sha256: str) -> str:
    """Replace one null by a digest in the text of artifacts.yml; comments and all else stay as they are."""
    lines = text.splitlines(keepends=True)
    begin, end = _entry_lines(lines, name, version)
    # The first word of that name below `sha256:` in this entry, in block or flow style.
    inside = False
    for number in range(begin, end):
        line = lines[number]
        flow = re.match(rf"(\s*sha256:\s*\{{.*?\b{architecture}:\s*)(null|~)?(?=\s*[,}}])", line)
        if flow:
            lines[number] = f'{flow.group(1).rstrip()} "{sha256}"{line[flow.end() :]}'
            return "".join(lines)
        inside = inside or bool(re.match(r"\s*sha256:\s*(#.*)?$", line))
        block = re.match(rf"(\s*{architecture}:)[ \t]*(null|~)?[ \t]*(#.*)?$", line)
        if inside and block:
            comment = f"  {block.group(3)}" if block.group(3) else ""
            lines[number] = f'{block.group(1)} "{sha256}"{comment}\n'
            return "".join(lines)
    raise BundleError(
        f"{name} {version} ({architecture}): no line with an empty pin was found in artifacts.yml, so nothing was "
        f"written. Write it there by hand after a review: {sha256}"
    )


def _entry_lines(lines: Sequence[str], name: str, version: str) -> tuple[int, int]:
    """The lines of the list item that has this name and version."""
    begins = [number for number, line in enumerate(lines) if re.match(r"\s*-\s+name:", line)]
    for begin, end in zip(begins, [*begins[1:], len(lines)]):
        block = "".join(lines[begin:end])
        same_name = re.match(rf"\s*-\s+name:\s*[\"']?{re.escape(name)}[\"']?\s*(#.*)?$", block, re.M)
        if same_name and re.search(rf"^\s+version:\s*[\"']?{re.escape(version)}[\"']?\s*(#.*)?$", block, re.M):
            return begin, end
    raise BundleError(
        f"{name} {version}: its entry was not found in artifacts.yml. "
        "Begin each entry with '- name:', and run this again."
    )
