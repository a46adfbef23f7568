# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Unpacks locked wheels: pip fetches them and holds them to the hashes of the lock, and stays out of the image."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from email.parser import HeaderParser
from pathlib import Path, PurePosixPath

from .catalogue import Artifact
from .commands import run_quietly
from .errors import BundleError
from .files import BLOCK, sha256_of

MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
# The newest C library whose wheels run with Debian 12's.
NEWEST_GLIBC_MINOR = 36
OLDEST_GLIBC_MINOR = 17


@dataclass(frozen=True)
class Wheel:
    """What was unpacked, as its own metadata says it."""

    name: str
    version: str
    licence: str
    sha256: str


def install(
    artifact: Artifact, requirements: Path, python: str, architecture: str, work: Path, to: Path
) -> tuple[Wheel, ...]:
    """Fetch every wheel of the lock and unpack it below `to`."""
    folder = work / "wheels"
    folder.mkdir()
    command = [
        *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"),
        *("--require-hashes", "--only-binary", ":all:", "--python-version", python, "--implementation", "cp"),
        *(word for abi in _abis(python) for word in ("--abi", abi)),
        *(word for name in _platforms(MACHINES[architecture]) for word in ("--platform", name)),
        *("--dest", str(folder), "--requirement", str(requirements)),
    ]
    try:
        run_quietly(command)
    except (OSError, subprocess.CalledProcessError) as error:
        said = str(getattr(error, "stderr", "") or error).strip()
        raise BundleError(
            f"{artifact.label}: pip could not fetch the wheels of {requirements.name}. It said:\n{said[-2000:]}\n"
            "See that pip is there and reaches its package registry, then run this again."
        ) from error
    to.mkdir(parents=True, exist_ok=True)
    return tuple(_unpack(artifact, path, to) for path in sorted(folder.glob("*.whl")))


def _abis(python: str) -> Sequence[str]:
    return (f"cp{python.replace('.', '')}", "abi3", "none")


def _platforms(machine: str) -> Iterator[str]:
    for minor in range(NEWEST_GLIBC_MINOR, OLDEST_GLIBC_MINOR - 1, -1):
        yield f"manylinux_2_{minor}_{machine}"
    yield f"manylinux2014_{machine}"


def _unpack(artifact: Artifact, path: Path, to: Path) -> Wheel:
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            place = _place(member.filename)
            if place is None or member.is_dir():
                continue
            if place.is_absolute() or ".." in place.parts:
                raise BundleError(f"{artifact.label}: {path.name} has {member.filename!r}, which leads outside of it.")
            target = to / place
            if target.exists():
                raise BundleError(f"{artifact.label}: {path.name} has {place}, which another wheel has too.")
            target.parent.mkdir(parents=True, exist_ok=True)
            with archive.open(member) as source, target.open("wb") as out:
                shutil.copyfileobj(source, out, BLOCK)
        described = next(name for name in archive.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", name))
        fields = HeaderParser().parsestr(archive.read(described).decode("utf-8", "replace"))
    licence = fields.get("License-Expression") or "NOASSERTION"
    return Wheel(str(fields["Name"]), str(fields["Version"]), str(licence), sha256_of(path))


def _place(name: str) -> PurePosixPath | None:
    """Where a member belongs below the modules; none for programs, headers and data, which nothing here starts."""
    parts = PurePosixPath(name).parts
    if not parts or not parts[0].endswith(".data"):
        return PurePosixPath(name)
    return PurePosixPath(*parts[2:]) if len(parts) > 2 and parts[1] in ("purelib", "platlib") else None
