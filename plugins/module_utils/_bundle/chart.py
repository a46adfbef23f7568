# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Packs a chart of ours as helm would, but always to the same bytes."""

from __future__ import annotations

import gzip
import io
import re
import tarfile
from pathlib import Path
from typing import Any

from .catalogue import Artifact
from .errors import BundleError
from .files import sha256_of
from .tarballs import add_file


def recipe_facts(artifact: Artifact, directory: Path) -> dict[str, Any]:
    """The files that go in, once the chart's own name and version were compared with the catalogue's."""
    described = directory / "Chart.yaml"
    if not described.is_file():
        raise BundleError(
            f"{artifact.label}: {described} is missing. Restore it, or correct build.chart in artifacts.yml."
        )
    text = described.read_text(encoding="utf-8")
    for field, wanted in (("name", artifact.name), ("version", artifact.version)):
        found = re.search(rf"^{field}:\s*[\"']?([^\s\"'#]+)", text, re.M)
        if not found or found.group(1) != wanted:
            given = found.group(1) if found else "nothing"
            raise BundleError(f"{artifact.label}: {described} says {field} {given}, but artifacts.yml says {wanted}.")
    files = {path.relative_to(directory).as_posix(): sha256_of(path) for path in _files(artifact, directory)}
    return {"how": "chart", "name": artifact.name, "files": files}


def make(artifact: Artifact, directory: Path, to: Path) -> Path:
    """Write the packed chart below `to`."""
    packed = to / "chart.tgz"
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        # helm wants Chart.yaml early; the rest is in the order of names.
        for path in sorted(_files(artifact, directory), key=lambda path: (path.name != "Chart.yaml", path)):
            add_file(archive, f"{artifact.name}/{path.relative_to(directory).as_posix()}", path)
    # Not mode "w:gz" nor gzip.compress: they write a date, a name or a mark of the Python version into the header.
    with packed.open("wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as compressed:
        compressed.write(buffer.getvalue())
    return packed


def _files(artifact: Artifact, directory: Path) -> list[Path]:
    found = []
    for path in sorted(directory.rglob("*")):
        if path.is_symlink():
            raise BundleError(f"{artifact.label}: {path} is a link; a chart may hold only files.")
        if path.is_file():
            found.append(path)
    return found
