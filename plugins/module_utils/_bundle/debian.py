# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes programs out of Debian packages; apt's own signed index says which bytes are right."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .catalogue import Artifact
from .catalogue_builds import DebianBuild
from .commands import run_quietly
from .errors import BundleError
from .extract import take_members
from .files import sha256_of


@dataclass(frozen=True)
class Package:
    """One package as the index of apt describes it."""

    name: str
    version: str
    architecture: str
    sha256: str
    size: int


def find_package(artifact: Artifact, build: DebianBuild, architecture: str) -> Package:
    """The package that apt would take now, if it is of the version that the catalogue pins."""
    (package,) = find_packages(artifact, (build.package,), architecture)
    upstream = package.version.split(":", 1)[-1]
    if not re.match(re.escape(artifact.version) + r"($|[^0-9])", upstream):
        raise BundleError(
            f"{artifact.label}: Debian offers {build.package} {package.version} here. Correct the version in "
            f"artifacts.yml after a test with it, or leave it out with bundle_without: [{artifact.name}]."
        )
    return package


def find_packages(artifact: Artifact, names: Sequence[str], architecture: str) -> tuple[Package, ...]:
    """The packages that apt would take now, in the order of their names."""
    wanted = [f"{name}:{architecture}" for name in names]
    try:
        shown = run_quietly(["apt-cache", "show", "--no-all-versions", *wanted])
    except (OSError, subprocess.CalledProcessError) as error:
        raise BundleError(
            f"{artifact.label}: apt does not know the Debian packages {', '.join(wanted)}. Run apt-get update (and "
            f"dpkg --add-architecture {architecture} where that is not this machine's own), build on Debian or Ubuntu, "
            f"or leave it out with bundle_without: [{artifact.name}]."
        ) from error
    found: dict[str, Package] = {}
    for described in shown.split("\n\n"):
        fields = dict(re.findall(r"^(Package|Version|SHA256|Size|Architecture): *(\S+)$", described, re.M))
        if set(fields) == {"Package", "Version", "SHA256", "Size", "Architecture"}:
            name = fields["Package"]
            found[name] = Package(
                name, fields["Version"], fields["Architecture"], fields["SHA256"], int(fields["Size"])
            )
    unknown = [name for name in names if name not in found]
    if unknown:
        raise BundleError(f"{artifact.label}: apt's index has no SHA256 for {', '.join(unknown)}. Run apt-get update.")
    return tuple(found[name] for name in names)


def recipe_facts(package: Package, members: Mapping[str, str]) -> dict[str, Any]:
    return {"how": "debian", "package": package.name, "sha256": package.sha256, "members": dict(members)}


def make(artifact: Artifact, build: DebianBuild, package: Package, to: Path) -> dict[str, Path]:
    """Fetch the package, compare it with the index, and take the members out."""
    file = fetch(artifact, package, to)
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(file)], stdout=subprocess.PIPE) as unpack:
        return take_members(build.members, to, f"{artifact.label}, {file.name}", stream=unpack.stdout)


def fetch(artifact: Artifact, package: Package, to: Path) -> Path:
    """The file of a package, in a folder that has no other."""
    try:
        run_quietly(["apt-get", "download", f"{package.name}:{package.architecture}={package.version}"], directory=to)
    except subprocess.CalledProcessError as error:
        raise BundleError(
            f"{artifact.label}: apt could not fetch {package.name} {package.version}: {error.stderr.strip()} "
            "Run apt-get update, check the network, then run this again."
        ) from error
    files = list(to.glob("*.deb"))
    actual = sha256_of(files[0]) if len(files) == 1 else "missing"
    if actual != package.sha256:
        raise BundleError(
            f"{artifact.label}: the package file of {package.name} has sha256 {actual}, but apt's index says "
            f"{package.sha256}; it was refused. Run apt-get update, then run this again."
        )
    return files[0]
