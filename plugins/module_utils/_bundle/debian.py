# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes programs out of Debian packages; apt's own signed index says which bytes are right."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping
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
    wanted = f"{build.package}:{architecture}"
    try:
        shown = run_quietly(["apt-cache", "show", "--no-all-versions", wanted])
    except (OSError, subprocess.CalledProcessError) as error:
        raise BundleError(
            f"{artifact.label}: apt does not know the Debian package {wanted}. Run apt-get update (and dpkg "
            f"--add-architecture {architecture} where that is not this machine's own), build on Debian or Ubuntu, or "
            f"leave it out with bundle_without: [{artifact.name}]."
        ) from error
    fields = dict(re.findall(r"^(Version|SHA256|Size|Architecture): *(\S+)$", shown, re.M))
    if set(fields) != {"Version", "SHA256", "Size", "Architecture"}:
        raise BundleError(f"{artifact.label}: apt's index has no SHA256 for {wanted}. Run apt-get update.")
    upstream = fields["Version"].split(":", 1)[-1]
    if not re.match(re.escape(artifact.version) + r"($|[^0-9])", upstream):
        raise BundleError(
            f"{artifact.label}: Debian offers {build.package} {fields['Version']} here. Correct the version in "
            f"artifacts.yml after a test with it, or leave it out with bundle_without: [{artifact.name}]."
        )
    return Package(build.package, fields["Version"], fields["Architecture"], fields["SHA256"], int(fields["Size"]))


def recipe_facts(package: Package, members: Mapping[str, str]) -> dict[str, Any]:
    return {"how": "debian", "package": package.name, "sha256": package.sha256, "members": dict(members)}


def make(artifact: Artifact, build: DebianBuild, package: Package, to: Path) -> dict[str, Path]:
    """Fetch the package, compare it with the index, and take the members out."""
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
    with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(files[0])], stdout=subprocess.PIPE) as unpack:
        return take_members(build.members, to, f"{artifact.label}, {files[0].name}", stream=unpack.stdout)
