# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the files of one target come to be: a key for all that decides the result, and the work itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from . import chart, compose, debian, gobuild, image, root
from .catalogue import ARCHITECTURES, Artifact, Release, fill
from .catalogue_builds import ChartBuild, ComposeBuild, DebianBuild, GoBuild, ImagesBuild, RootBuild
from .download import Download
from .errors import BundleError
from .exchange import mirrored
from .extract import take_members
from .files import key_of
from .plan import ANY, Target, pin_of
from .progress import spoken_seconds
from .workshop import Workshop


@dataclass(frozen=True)
class Recipe:
    """`make` puts the files into an empty folder, from the files of the parts; equal keys and parts, equal results."""

    key: str
    source: str
    # Of builds only one runs at a time: each uses every core by itself.
    build: bool
    make: Callable[[Path, Sequence[Path]], dict[str, Path]]


def recipe_for(target: Target, workshop: Workshop) -> Recipe:
    """The recipe of a target in its way."""
    artifact = target.artifact
    if target.way == "release" and artifact.release:
        return _release(target, artifact.release, workshop)
    if isinstance(artifact.build, GoBuild):
        return _go(target, artifact.build, workshop)
    if isinstance(artifact.build, DebianBuild):
        return _debian(target, artifact.build, workshop)
    if isinstance(artifact.build, ChartBuild):
        return _chart(artifact, artifact.build)
    if isinstance(artifact.build, ComposeBuild):
        return _compose(target, artifact.build, workshop)
    if isinstance(artifact.build, ImagesBuild):
        return _images(target, artifact.build, workshop)
    if isinstance(artifact.build, RootBuild):
        return _root(target, artifact.build, workshop)
    raise BundleError(f"{target.label} has no way {target.way}.")


def release_url(target: Target, release: Release) -> str:
    """The upstream's own address."""
    architecture = ARCHITECTURES[0] if target.architecture == ANY else target.architecture
    return fill(release.urls[architecture], target.artifact.version, architecture, in_url=True)


def _release(target: Target, release: Release, workshop: Workshop) -> Recipe:
    artifact, architecture = target.artifact, target.architecture
    url, pin = release_url(target, release), str(pin_of(target))
    members = {name: fill(inside, artifact.version, architecture) for name, inside in release.members.items()}
    facts = {"how": "release", "sha256": pin, "members": members, "files": list(artifact.files)}

    def make(folder: Path, _parts: Sequence[Path]) -> dict[str, Path]:
        with workshop.lock_for(pin):
            fetched = workshop.store.verified(pin, f"{target.label}") or _fetch(target, url, pin, workshop)
        if not members:
            return {artifact.files[0]: fetched}
        return take_members(members, folder, f"{target.label}, {url.rpartition('/')[2]}", path=fetched)

    return Recipe(key_of(facts), url, False, make)


def _fetch(target: Target, url: str, pin: str, workshop: Workshop) -> Path:
    source = mirrored(url, workshop.mirror)
    name = url.rpartition("/")[2]
    part = workshop.store.partial / f"{pin}.part"
    download = Download(source, pin, f"{target.label}, {name}", part, workshop.patience, workshop.cancel)
    already = " (going on where an earlier run stopped)" if part.exists() else ""
    with workshop.progress.step(f"downloading {target.label}{already}", detail=download.status):
        content = workshop.store.add(download.run())
    return workshop.store.path_of(content.sha256)


def _go(target: Target, build: GoBuild, workshop: Workshop) -> Recipe:
    directory = gobuild.place_of(target.artifact, build)
    facts = gobuild.recipe_facts(target.artifact, build, target.architecture, directory, workshop.go)

    def make(folder: Path, _parts: Sequence[Path]) -> dict[str, Path]:
        run = gobuild.GoRun(target.artifact, build, target.architecture, directory)
        with workshop.progress.step(f"building {target.label}", _usually(build.usual_seconds), run.status):
            return run.make(folder, workshop.cache, workshop.go, workshop.cancel)

    place = "." if build.directory == "." else f"build/{build.directory}"
    return Recipe(key_of(facts), f"{place} with go {facts['toolchain']}", True, make)


def _debian(target: Target, build: DebianBuild, workshop: Workshop) -> Recipe:
    package = debian.find_package(target.artifact, build, target.architecture)

    def make(folder: Path, _parts: Sequence[Path]) -> dict[str, Path]:
        with workshop.progress.step(f"taking {target.label} from Debian", _usually(build.usual_seconds)):
            return debian.make(target.artifact, build, package, folder)

    source = f"Debian package {package.name} {package.version} {package.architecture}"
    return Recipe(key_of(debian.recipe_facts(package, build.members)), source, False, make)


def _chart(artifact: Artifact, build: ChartBuild) -> Recipe:
    directory = artifact.folder / "charts" / build.directory
    facts = chart.recipe_facts(artifact, directory)
    return Recipe(
        key_of(facts),
        f"charts/{build.directory}",
        False,
        lambda folder, _parts: {artifact.files[0]: chart.make(artifact, directory, folder)},
    )


def _compose(target: Target, build: ComposeBuild, workshop: Workshop) -> Recipe:
    artifact = target.artifact
    images = [part.artifact for part in target.parts if part.artifact.image]
    references = {other.name: other.image.reference for other in images if other.image}

    def make(folder: Path, parts: Sequence[Path]) -> dict[str, Path]:
        members = dict(zip(build.members, parts[1:]))
        with workshop.progress.step(f"putting together {target.label}", _usually(build.usual_seconds)):
            made = compose.make(artifact, build, parts[0], members, references, folder, workshop.cancel)
        return {artifact.files[0]: made}

    return Recipe(key_of(compose.recipe_facts(build, references)), _made_of(target), True, make)


def _images(target: Target, build: ImagesBuild, workshop: Workshop) -> Recipe:
    def make(folder: Path, parts: Sequence[Path]) -> dict[str, Path]:
        with workshop.progress.step(f"putting together {target.label}", _usually(build.usual_seconds)):
            return {target.artifact.files[0]: image.merge(parts, folder)}

    return Recipe(key_of(image.merge_facts()), _made_of(target), True, make)


def _root(target: Target, build: RootBuild, workshop: Workshop) -> Recipe:
    artifact, architecture = target.artifact, target.architecture
    packages = debian.find_packages(artifact, build.packages, architecture)
    key = key_of(root.recipe_facts(artifact, build, packages, architecture))

    def make(folder: Path, _parts: Sequence[Path]) -> dict[str, Path]:
        with workshop.progress.step(f"building {target.label}", _usually(build.usual_seconds)):
            made = root.make(artifact, build, packages, architecture, key, folder, workshop.cancel)
        return {artifact.files[0]: made}

    return Recipe(key, f"{len(packages)} Debian packages and {build.wheels}", True, make)


def _made_of(target: Target) -> str:
    return "made of " + ", ".join(dict.fromkeys(part.artifact.label for part in target.parts))


def _usually(seconds: int | None) -> str:
    return f"usually {spoken_seconds(seconds)} on 2 cores" if seconds else ""
