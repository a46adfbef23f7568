# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several catalogues become one: a later entry takes the place of an earlier one, and every part must be there."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from .catalogue import Artifact
from .catalogue_builds import ComposeBuild, ImagesBuild, Part, parts_of
from .errors import CatalogueError

Known = Mapping[tuple[str, str], Artifact]


def combine(catalogues: Iterable[Sequence[Artifact]]) -> tuple[Artifact, ...]:
    """One list in the order of the catalogues; an entry replaces an earlier one with its name and version."""
    found: dict[tuple[str, str], Artifact] = {}
    for artifacts in catalogues:
        found.update(((artifact.name, artifact.version), artifact) for artifact in artifacts)
    for artifact in found.values():
        for field, part in parts_of(artifact.build).items():
            _refuse_unless_there(artifact, field, part, found)
        _refuse_circle(artifact, found, ())
    return tuple(found.values())


def index(artifacts: Iterable[Artifact]) -> Known:
    """The same, to be found by name and version."""
    return {(artifact.name, artifact.version): artifact for artifact in artifacts}


def _refuse_unless_there(artifact: Artifact, field: str, part: Part, known: Known) -> None:
    other = known.get((part.name, part.version))
    complaint = ""
    if other is None:
        versions = sorted(version for name, version in known if name == part.name)
        there = f"; of {part.name} there is {', '.join(versions)}" if versions else ""
        complaint = f"names {part.label}, which no catalogue of this run has{there}"
    elif part.file and (other.kind != "binaries" or part.file not in other.files):
        has = ", ".join(other.files) if other.kind == "binaries" else f"one file, being of kind {other.kind}"
        complaint = f"names the file {part.file} of {part.label}, which has {has}"
    elif not part.file and other.kind != "image":
        complaint = f"names {part.label}, which is no image"
    if complaint:
        raise CatalogueError(f"{artifact.catalogue}, {artifact.label}: {field} {complaint}.")


def _refuse_circle(artifact: Artifact, known: Known, above: tuple[str, ...]) -> None:
    if artifact.label in above:
        circle = " of ".join([*above[above.index(artifact.label) :], artifact.label])
        raise CatalogueError(f"{artifact.catalogue}, {artifact.label}: it would be made of itself ({circle}).")
    if isinstance(artifact.build, (ComposeBuild, ImagesBuild)):
        for part in parts_of(artifact.build).values():
            _refuse_circle(known[part.name, part.version], known, (*above, artifact.label))
