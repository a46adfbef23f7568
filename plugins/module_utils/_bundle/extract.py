# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes single files out of a tar archive, and only regular files that were asked for by name."""

from __future__ import annotations

import lzma
import posixpath
import shutil
import tarfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from .errors import BundleError
from .files import BLOCK, disk_sentences


def take_members(
    members: Mapping[str, str], to: Path, what: str, path: Path | None = None, stream: IO[bytes] | None = None
) -> dict[str, Path]:
    """Write each wanted member below `to` under its plain name. The archive chooses no path: only we do."""
    wanted = {posixpath.normpath(inside).lstrip("/"): name for name, inside in members.items()}
    taken: dict[str, Path] = {}
    try:
        with tarfile.open(name=path, mode="r|*" if path else "r|", fileobj=stream) as archive:
            for member in archive:
                name = wanted.get(posixpath.normpath(member.name).lstrip("/"))
                if name is None:
                    continue
                if not member.isreg():
                    raise BundleError(
                        f"{what}: {member.name} is a link or a special file, not a program; it was refused."
                    )
                if name in taken:
                    raise BundleError(f"{what}: {member.name} is in the archive twice; it was refused.")
                content = archive.extractfile(member)
                target = to / name
                with disk_sentences(to, f"unpacking {what}"), target.open("wb") as out:
                    if content is not None:
                        shutil.copyfileobj(content, out, BLOCK)
                taken[name] = target
    except (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise BundleError(f"{what}: the archive cannot be read ({error}).") from error
    for inside, name in wanted.items():
        if name not in taken:
            raise BundleError(f"{what}: the archive has no member {inside}. Correct its path in artifacts.yml.")
    return taken
