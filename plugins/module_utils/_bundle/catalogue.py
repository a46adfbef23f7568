# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What artifacts.yml says, checked and turned into facts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import quote

from .catalogue_builds import Build, read_build
from .catalogue_fields import PLAIN_NAME, SHA256, Fields
from .errors import CatalogueError

ARCHITECTURES = ("amd64", "arm64")
KINDS = ("binaries", "image", "archive", "chart")
GROUPS = ("site", "test")
CATALOGUE = "artifacts.yml"


@dataclass(frozen=True)
class Image:
    """A container image of one layer: files at their paths, or a whole root file system, and how it is started."""

    reference: str
    entrypoint: tuple[str, ...]
    command: tuple[str, ...]
    files: Mapping[str, str]
    user: str
    environment: Mapping[str, str]
    # The tar that is the layer; then there are no single files.
    root: str = ""


@dataclass(frozen=True)
class Release:
    """The upstream's own file, and the digest that it must have."""

    urls: Mapping[str, str]
    checksums_url: str | None
    members: Mapping[str, str]
    sha256: Mapping[str, str | None]


@dataclass(frozen=True)
class Artifact:
    """One entry: a thing of one version that can be had in one or two ways."""

    name: str
    version: str
    licence: str
    origin: str
    kind: str
    groups: tuple[str, ...]
    files: tuple[str, ...]
    image: Image | None = None
    release: Release | None = None
    build: Build | None = None
    usual_mib: int | None = None
    # The catalogue's file as the operator knows it, and the folder where build/ and charts/ lie.
    catalogue: str = CATALOGUE
    folder: Path = Path()

    @property
    def label(self) -> str:
        return f"{self.name} {self.version}"

    def ways(self) -> tuple[str, ...]:
        return tuple(way for way, given in (("release", self.release), ("build", self.build)) if given)


def fill(template: str, version: str, architecture: str, in_url: bool = False) -> str:
    """Put version and architecture where a template names them."""
    shown = quote(version, safe="") if in_url else version
    return template.replace("{version}", shown).replace("{arch}", architecture)


def read_catalogue(entries: Any, catalogue: str = CATALOGUE, folder: Path = Path()) -> tuple[Artifact, ...]:
    """Check every entry; the first mistake is raised with the catalogue's, the entry's and the field's name."""
    if not isinstance(entries, Sequence) or isinstance(entries, str):
        raise CatalogueError(f"{catalogue}: bundle_artifacts must be a list of artifacts.")
    artifacts = tuple(
        _artifact(Fields(f"entry {number}", entry, catalogue=catalogue), number, folder)
        for number, entry in enumerate(entries, start=1)
    )
    seen: dict[tuple[str, str], int] = {}
    for number, artifact in enumerate(artifacts, start=1):
        first = seen.setdefault((artifact.name, artifact.version), number)
        if first != number:
            raise CatalogueError(f"{catalogue}, entry {number} ({artifact.label}): entry {first} is the same.")
    return artifacts


def _artifact(fields: Fields, number: int, folder: Path) -> Artifact:
    name = fields.plain("name")
    fields.entry = f"entry {number} ({name})"
    version = fields.plain("version")
    fields.entry = f"entry {number} ({name} {version})"
    kind = fields.text("kind")
    if kind not in KINDS:
        raise fields.wrong("kind", f"is {kind!r}, but must be one of {', '.join(KINDS)}")
    if not fields.has("groups"):
        raise fields.wrong("groups", "is missing; an empty list makes it a part of others only")
    groups = fields.texts("groups")
    if not set(groups) <= set(GROUPS):
        raise fields.wrong("groups", f"may name only {', '.join(GROUPS)}")
    image = _image(fields, version) if kind == "image" else None
    files = _files(fields, kind, name, version, image)
    release = _release(fields, kind, files) if fields.has("release") else None
    build = read_build(fields, kind, files) if fields.has("build") else None
    if release is None and build is None:
        raise fields.wrong("release and build", "are both missing; one way to get it is needed")
    artifact = Artifact(
        name=name,
        version=version,
        licence=fields.text("licence"),
        origin=fields.text("origin"),
        kind=kind,
        groups=groups,
        files=files,
        image=image,
        release=release,
        build=build,
        usual_mib=fields.number("usual_mib"),
        catalogue=fields.catalogue,
        folder=folder,
    )
    fields.finish()
    return artifact


def _files(fields: Fields, kind: str, name: str, version: str, image: Image | None) -> tuple[str, ...]:
    given = fields.plains("files")
    if len(set(given)) != len(given):
        raise fields.wrong("files", "names the same file twice")
    if kind == "image" and image:
        needed = (image.root,) if image.root else tuple(sorted(set(image.files.values())))
        if given and set(given) != set(needed):
            raise fields.wrong("files", f"must be {', '.join(needed)}, which image uses (or be left out)")
        return needed
    if kind == "chart":
        if given:
            raise fields.wrong("files", "is not for charts, whose file name is made from name and version")
        return (f"{name}-{version}.tgz",)
    if not given or (kind == "archive" and len(given) != 1):
        raise fields.wrong("files", "must name one file" if kind == "archive" else "is missing")
    return given


def _image(fields: Fields, version: str) -> Image:
    inner = fields.inside("image")
    files = inner.mapping("files")
    for target, name in files.items():
        parts = PurePosixPath(target)
        if not parts.is_absolute() or ".." in parts.parts or target.endswith("/") or not PLAIN_NAME.fullmatch(name):
            raise inner.wrong("image.files", f"has {target!r}: {name!r}, but wants absolute path: file name")
    image = Image(
        reference=fill(inner.text("reference"), version, ""),
        entrypoint=inner.texts("entrypoint"),
        command=inner.texts("command"),
        files=files,
        user=inner.text("user"),
        environment=inner.mapping("environment"),
        root=inner.plain("root") if inner.has("root") else "",
    )
    if not re.fullmatch(
        r"[a-z0-9][a-z0-9.-]*(:\d+)?(/[a-z0-9._-]+)+:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", image.reference
    ):
        raise inner.wrong("image.reference", f"is {image.reference!r}, but wants registry/name:tag")
    if bool(image.files) == bool(image.root) or not image.entrypoint:
        raise inner.wrong("image", "needs an entrypoint, and either files or a root")
    inner.finish()
    return image


def _release(fields: Fields, kind: str, files: tuple[str, ...]) -> Release:
    inner = fields.inside("release")
    raw = inner.take("url")
    urls = (
        {key: str(url) for key, url in raw.items()} if isinstance(raw, Mapping) else dict.fromkeys(ARCHITECTURES, raw)
    )
    for architecture, url in urls.items():
        if architecture not in ARCHITECTURES or not isinstance(url, str) or not re.match(r"https?://[^/\s]+/\S+$", url):
            raise inner.wrong("release.url", "must be an http(s) address, or one for each of amd64 and arm64")
    pins = inner.take("sha256", {})
    if not isinstance(pins, Mapping) or not pins or not set(pins) <= set(urls):
        raise inner.wrong("release.sha256", f"must map one or more of {', '.join(urls)} to a digest or null")
    for architecture, pin in pins.items():
        if pin is not None and not (isinstance(pin, str) and SHA256.fullmatch(pin)):
            raise inner.wrong(f"release.sha256.{architecture}", "must be 64 hexadecimal digits in lower case, or null")
    members = inner.mapping_of_files("member")
    if members and (set(members) != set(files) or kind in ("archive", "chart")):
        raise inner.wrong("release.member", f"must name exactly the files of this entry ({', '.join(files)})")
    if not members and len(files) != 1:
        raise inner.wrong("release.member", "is missing: it is needed to find several files in one archive")
    release = Release(
        # An architecture that has no line for its pin is one that the upstream does not serve.
        urls={architecture: urls[architecture] for architecture in pins},
        checksums_url=inner.take("checksums_url"),
        members=members,
        sha256=dict(pins),
    )
    if release.checksums_url is not None and not str(release.checksums_url).startswith(("https://", "http://")):
        raise inner.wrong("release.checksums_url", "must be an http(s) address")
    inner.finish()
    return release
