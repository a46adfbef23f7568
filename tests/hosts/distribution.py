# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a container host is made of, read from one data file for each distribution."""

from __future__ import annotations

import hashlib
import json
import platform
from dataclasses import asdict, dataclass
from pathlib import Path

import yaml

from .model import HostsError

DEFAULT_DISTRIBUTION = "debian12"
DATA = Path(__file__).parent / "distributions"
ROOTFS = Path(__file__).parent / "rootfs"
RECIPE_VERSION = 1
"""Rises when image.py makes something else of the same data."""


@dataclass(frozen=True)
class Distribution:
    """The recipe of an image."""

    key: str
    title: str
    builder: str
    suite: str
    components: tuple[str, ...]
    suites_beside: tuple[str, ...]
    packages: tuple[str, ...]
    masked_units: tuple[str, ...]


def known() -> tuple[str, ...]:
    """Return the distributions that have a data file."""
    return tuple(sorted(path.stem for path in DATA.glob("*.yml")))


def load(key: str) -> Distribution:
    """Read the recipe of that distribution, or say which ones there are."""
    if key not in known():
        raise HostsError(f"There is no distribution {key}; the test bed knows {', '.join(known())}.")
    data = yaml.safe_load((DATA / f"{key}.yml").read_text(encoding="utf-8"))
    return Distribution(
        key=key,
        title=str(data["title"]),
        builder=str(data["builder"]),
        suite=str(data["suite"]),
        components=tuple(data["components"]),
        suites_beside=tuple(data["suites_beside"]),
        packages=tuple(data["packages"]),
        masked_units=tuple(data["masked_units"]),
    )


def rootfs_files() -> tuple[Path, ...]:
    """Return the files that every image gets, relative to the root."""
    return tuple(sorted(path.relative_to(ROOTFS) for path in ROOTFS.rglob("*") if path.is_file()))


def recipe_hash(distribution: Distribution) -> str:
    """Return a name for everything that decides what the image holds, but for the packages' versions of the day."""
    digest = hashlib.sha256()
    digest.update(json.dumps([RECIPE_VERSION, platform.machine(), asdict(distribution)], sort_keys=True).encode())
    for path in rootfs_files():
        source = ROOTFS / path
        executable = bool(source.stat().st_mode & 0o100)
        digest.update(json.dumps([str(path), executable, hashlib.sha256(source.read_bytes()).hexdigest()]).encode())
    return digest.hexdigest()[:16]
