# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts an archive of files behind a program: the system starts it as before, and the program can read the archive.

What follows a program's own bytes does not matter to the system, and a zip is found from its end. The same inputs give
the same bytes with the same zlib.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .catalogue import Artifact
from .catalogue_builds import CONTENTS, ComposeBuild
from .errors import StoppedError
from .files import BLOCK, sha256_of

# Level 6 takes twice as long for 5 % less.
COMPRESSION = 3
FORMAT = 1


def recipe_facts(build: ComposeBuild, references: Mapping[str, str]) -> dict[str, Any]:
    """All that decides the result but the bytes of the parts, which are not known before they are made."""
    return {
        "how": "compose",
        "format": FORMAT,
        "zlib": zlib.ZLIB_RUNTIME_VERSION,
        "members": list(build.members),
        **_contents(build, references),
    }


def make(
    artifact: Artifact,
    build: ComposeBuild,
    program: Path,
    members: Mapping[str, Path],
    references: Mapping[str, str],
    to: Path,
    cancel: threading.Event,
) -> Path:
    """Write the program with the archive below `to`."""
    made = to / artifact.files[0]
    # One digest for all that is inside, so that the program can keep what it unpacked apart from other versions'.
    digest = hashlib.sha256(bytes.fromhex(sha256_of(program)))
    for name, path in sorted(members.items()):
        digest.update(f"{name} {sha256_of(path)}\n".encode())
    contents = {"hash": digest.hexdigest(), **_contents(build, references)}
    shutil.copyfile(program, made)
    with made.open("r+b") as stream:
        stream.seek(0, 2)
        # Not mode "a", which would go on with an archive that the program has already.
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=COMPRESSION) as archive:
            with archive.open(CONTENTS, "w") as member:
                member.write(json.dumps(contents, indent=1, sort_keys=True).encode())
            for name, path in sorted(members.items()):
                _add(archive, name, path, cancel)
            for info in archive.infolist():
                info.external_attr = (0o644 if info.filename == CONTENTS else 0o755) << 16
    return made


def _contents(build: ComposeBuild, references: Mapping[str, str]) -> dict[str, Any]:
    parts = sorted(build.members.values(), key=lambda part: part.label)
    return {
        "images": dict(references),
        "links": dict(build.links),
        "versions": {part.name: part.version for part in parts},
    }


def _add(archive: zipfile.ZipFile, name: str, path: Path, cancel: threading.Event) -> None:
    large = path.stat().st_size >= 1 << 30
    # By its name alone a member gets the fixed date 1980-01-01.
    with path.open("rb") as source, archive.open(name, "w", force_zip64=large) as member:
        while block := source.read(BLOCK):
            if cancel.is_set():
                raise StoppedError(f"{name} was not finished.")
            member.write(block)
