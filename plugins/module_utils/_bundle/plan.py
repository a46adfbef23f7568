# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which artifacts are wanted, for which architecture, and which way each is had."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from .catalogue import ARCHITECTURES, GROUPS, Artifact
from .catalogue_builds import parts_of
from .catalogues import Known, index
from .errors import BundleError

ANY = "all"


@dataclass(frozen=True)
class Wish:
    """What the operator asked for."""

    way: str = "release"
    architectures: tuple[str, ...] = ("amd64",)
    groups: tuple[str, ...] = ("site",)
    without: tuple[str, ...] = ()


@dataclass(frozen=True)
class Target:
    """One artifact for one architecture, had in one way."""

    artifact: Artifact
    architecture: str
    way: str
    note: str
    # What it is made of, in the order of `parts_of`; got first, whether it was wished or not.
    parts: tuple[Target, ...] = ()

    @property
    def label(self) -> str:
        return self.artifact.label + (f" ({self.architecture})" if self.architecture != ANY else "")

    def path_of(self, file: str) -> str:
        """Where a file of this target lies in the bundle."""
        artifact = self.artifact
        if artifact.kind == "chart":
            return f"charts/{file}"
        if artifact.kind == "image":
            return f"{self.architecture}/images/{artifact.name}-{artifact.version}.tar"
        folder = "bin" if artifact.kind == "binaries" else "archives"
        return f"{self.architecture}/{folder}/{artifact.name}/{artifact.version}/{file}"


def choose(artifacts: Sequence[Artifact], wish: Wish) -> tuple[Target, ...]:
    """The targets in the catalogue's order. Names that do not exist are refused: a misspelling must not pass."""
    _refuse_unknown("architectures", wish.architectures, ARCHITECTURES)
    _refuse_unknown("groups", wish.groups, GROUPS)
    _refuse_unknown("without", wish.without, sorted({artifact.name for artifact in artifacts}))
    known = index(artifacts)
    targets = [
        _target(artifact, architecture, wish.way, known)
        for artifact in artifacts
        if artifact.name not in wish.without and set(artifact.groups) & set(wish.groups)
        for architecture in ([ANY] if artifact.kind == "chart" else dict.fromkeys(wish.architectures))
    ]
    released = [target for target in with_parts(targets) if target.way == "release" and target.artifact.release]
    unpinned = dict.fromkeys(target.label for target in released if not pin_of(target))
    if unpinned:
        raise BundleError(
            f"No checksum is pinned in artifacts.yml for {', '.join(unpinned)}, so nothing was fetched. Run bundle.yml "
            "--tags lock to write down what the upstream publishes, review the difference, then run this again; or "
            "build it from source with bundle_way: build."
        )
    return tuple(targets)


def with_parts(targets: Iterable[Target]) -> Iterator[Target]:
    """The targets, each after all that it is made of."""
    for target in targets:
        yield from with_parts(target.parts)
        yield target


def pin_of(target: Target) -> str | None:
    """The digest that the upstream's file must have."""
    release = target.artifact.release
    pins = release.sha256 if release else {}
    return pins.get(ARCHITECTURES[0] if target.architecture == ANY else target.architecture)


def _target(artifact: Artifact, architecture: str, wanted: str, known: Known) -> Target:
    released = artifact.release and (architecture == ANY or architecture in artifact.release.urls)
    ways = [way for way, given in (("release", released), ("build", artifact.build)) if given]
    if not ways:
        raise BundleError(
            f"{artifact.label} cannot be had for {architecture}. Leave it out with bundle_without: [{artifact.name}], "
            "or leave that architecture out."
        )
    way = wanted if wanted in ways else ways[0]
    note = "" if way == wanted else f"it has only its {way} way"
    named = parts_of(artifact.build).values() if way == "build" else ()
    parts = [_target(known[part.name, part.version], architecture, wanted, known) for part in named]
    return Target(artifact, architecture, way, note, tuple(parts))


def _refuse_unknown(option: str, given: Sequence[str], known: Sequence[str]) -> None:
    for name in given:
        if name not in known:
            raise BundleError(f"bundle_{option} names {name!r}, which does not exist. Known are: {', '.join(known)}.")
