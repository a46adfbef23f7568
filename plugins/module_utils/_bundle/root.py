# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes a root file system of Debian packages, locked wheels and files of ours: an image's layer without a registry.

Packages are unpacked, not installed, so none of their scripts run and no shell is needed. What the packages depend on
is not added by itself: the catalogue names each one, so that what is in the image can be read there.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import tarfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from . import debian, sbom, wheels
from .catalogue import Artifact
from .catalogue_builds import RootBuild
from .commands import run_quietly
from .errors import BundleError, StoppedError
from .files import remove_tree, sha256_of
from .tarballs import add_tree

FORMAT = 1
SBOM = "usr/share/sbom/{name}.spdx.json"
# Where the system's own loader lies, by the bundle's name of the architecture: (machine, loader, library folder).
LOADERS = {
    "amd64": ("x86_64", "lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", "x86_64-linux-gnu"),
    "arm64": ("aarch64", "lib/aarch64-linux-gnu/ld-linux-aarch64.so.1", "aarch64-linux-gnu"),
}


def recipe_facts(
    artifact: Artifact, build: RootBuild, packages: Sequence[debian.Package], architecture: str
) -> dict[str, Any]:
    """All that decides the tar's bytes."""
    return {
        "how": "root",
        "format": FORMAT,
        "name": artifact.label,
        "architecture": architecture,
        "python": build.python,
        "packages": {package.name: package.sha256 for package in packages},
        "wheels": sha256_of(_beside(artifact, build.wheels)),
        "copies": {
            f"{target}/{path.relative_to(source).as_posix()}": sha256_of(path)
            for source, target in _copies(artifact, build)
            for path in _files(source)
        },
        "without": list(build.without),
    }


def make(
    artifact: Artifact,
    build: RootBuild,
    packages: Sequence[debian.Package],
    architecture: str,
    key: str,
    to: Path,
    cancel: threading.Event,
) -> Path:
    """Write the tar below `to`."""
    if platform.machine() != LOADERS[architecture][0]:
        raise BundleError(
            f"{artifact.label} for {architecture} is compiled by its own Python, which does not run on this machine "
            f"({platform.machine()}). Build it on a machine of that architecture, or leave it out with "
            f"bundle_without: [{artifact.name}]."
        )
    tree = to / "tree"
    tree.mkdir()
    for package in packages:
        _go_on(cancel, artifact)
        _unpack_package(artifact, package, to / "package", tree)
    _go_on(cancel, artifact)
    modules = tree / "usr/local/lib" / f"python{build.python}" / "dist-packages"
    installed = wheels.install(artifact, _beside(artifact, build.wheels), build.python, architecture, to, modules)
    for source, target in _copies(artifact, build):
        for path in _files(source):
            place = tree / target / path.relative_to(source)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, place)
    _trim(artifact, build, tree)
    _go_on(cancel, artifact)
    _compile(artifact, build, architecture, tree, modules)
    document = tree / SBOM.format(name=artifact.name)
    document.parent.mkdir(parents=True)
    document.write_text(sbom.render(artifact, packages, installed, key), encoding="utf-8")
    layer = to / "root.tar"
    with tarfile.open(layer, "w", format=tarfile.USTAR_FORMAT) as archive:
        add_tree(archive, tree)
    return layer


def _unpack_package(artifact: Artifact, package: debian.Package, folder: Path, tree: Path) -> None:
    folder.mkdir()
    try:
        file = debian.fetch(artifact, package, folder)
        run_quietly(["dpkg-deb", "--extract", str(file), str(tree)])
    except subprocess.CalledProcessError as error:
        raise BundleError(f"{artifact.label}: {package.name} cannot be unpacked: {error.stderr.strip()}") from error
    finally:
        remove_tree(folder)


def _trim(artifact: Artifact, build: RootBuild, tree: Path) -> None:
    """Take away what the catalogue names. A pattern that finds nothing is a mistake, or a thing of the past."""
    idle = []
    for pattern in build.without:
        found = sorted(tree.glob(pattern))
        idle += [] if found else [pattern]
        for path in found:
            remove_tree(path)
    if idle:
        raise BundleError(
            f"{artifact.catalogue}, {artifact.label}: build.root.without has {', '.join(idle)}, and there is nothing "
            "of that name in the root file system. Correct it, or take it off the list."
        )


def _compile(artifact: Artifact, build: RootBuild, architecture: str, tree: Path, modules: Path) -> None:
    """Byte code for every module, since nothing can be written there later; made by the Python that will read it."""
    _machine, loader, libraries = LOADERS[architecture]
    standard = tree / "usr/lib" / f"python{build.python}"
    command = [
        *(str(tree / loader), "--library-path", f"{tree}/lib/{libraries}:{tree}/usr/lib/{libraries}"),
        *(f"{tree}/usr/bin/python{build.python}", "-S", "-s", "-B", "-m", "compileall", "-q", "-f", "-j", "1"),
        # Nobody looks whether a source is newer: nothing in an image ever is.
        *("--invalidation-mode", "unchecked-hash", "-s", str(tree), "-p", "/"),
        *(str(folder) for folder in (standard, modules) if folder.is_dir()),
    ]
    # The order in which sets are written down hangs on the seed.
    settings = {"PATH": os.defpath, "PYTHONHOME": f"{tree}/usr", "PYTHONHASHSEED": "0"}
    try:
        run_quietly(command, environment=settings)
    except subprocess.CalledProcessError as error:
        raise BundleError(
            f"{artifact.label}: the Python of the root file system could not compile its modules. It said:\n"
            f"{(error.stdout + error.stderr).strip()[-2000:]}"
        ) from error


def _copies(artifact: Artifact, build: RootBuild) -> Iterator[tuple[Path, str]]:
    for source, target in build.copies.items():
        yield _beside(artifact, source), target


def _beside(artifact: Artifact, name: str) -> Path:
    path = artifact.folder / name
    if not path.exists():
        raise BundleError(f"{artifact.label}: {path} is missing. Restore it, or correct build.root in artifacts.yml.")
    return path


def _files(source: Path) -> Iterator[Path]:
    for path in sorted(source.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path


def _go_on(cancel: threading.Event, artifact: Artifact) -> None:
    if cancel.is_set():
        raise StoppedError(f"{artifact.label} was not finished.")
