# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a virtual machine is made of: a container host's packages and, from a data file, a kernel and what needs one."""

from __future__ import annotations

import hashlib
import json
import platform
from dataclasses import asdict, dataclass
from pathlib import Path

import yaml

from . import distribution, vm_initrd
from .distribution import Distribution
from .model import HostsError

DATA = Path(__file__).parent / "vm_distributions"
RECIPE_VERSION = 2
"""Rises when vm_image.py makes something else of the same data."""

OWN_FILES = ("etc/ssh/sshd_config.d/10-holdfast.conf", "etc/systemd/journald.conf.d/10-holdfast.conf")
"""The files of tests/hosts/rootfs that a machine shares with a container host; the rest is about containers."""


@dataclass(frozen=True)
class VmRecipe:
    """The recipe of a disk, a kernel and an initial file system."""

    base: Distribution
    kernel_package: str
    packages: tuple[str, ...]
    first_modules: tuple[str, ...]
    path_excludes: tuple[str, ...]
    enabled_units: tuple[str, ...]
    masked_units: tuple[str, ...]

    @property
    def all_packages(self) -> tuple[str, ...]:
        """Return every package, each once."""
        return tuple(dict.fromkeys((*self.base.packages, self.kernel_package, *self.packages)))


def known() -> tuple[str, ...]:
    """Return the distributions that can be a virtual machine."""
    return tuple(sorted(path.stem for path in DATA.glob("*.yml")))


def load(key: str = distribution.DEFAULT_DISTRIBUTION) -> VmRecipe:
    """Read the recipe, or say which ones there are."""
    if key not in known():
        raise HostsError(f"There is no virtual machine of {key}; the test bed knows {', '.join(known())}.")
    data = yaml.safe_load((DATA / f"{key}.yml").read_text(encoding="utf-8"))
    return VmRecipe(
        base=distribution.load(key),
        kernel_package=str(data["kernel_package"]),
        packages=tuple(data["packages"]),
        first_modules=tuple(data["first_modules"]),
        path_excludes=tuple(data["path_excludes"]),
        enabled_units=tuple(data["enabled_units"]),
        masked_units=tuple(data["masked_units"]),
    )


def recipe_hash(recipe: VmRecipe) -> str:
    """Return a name for everything that decides what the image holds, but for the packages' versions of the day."""
    own = [hashlib.sha256((distribution.ROOTFS / path).read_bytes()).hexdigest() for path in OWN_FILES]
    facts = [RECIPE_VERSION, platform.machine(), asdict(recipe), own, vm_initrd.INIT]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]
