# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What artifacts.yml says, checked and turned into facts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Union
from urllib.parse import quote

from .catalogue_fields import PLAIN_NAME, SHA256, Fields
from .errors import CatalogueError

ARCHITECTURES = ("amd64", "arm64")
KINDS = ("binaries", "image", "archive", "chart")
GROUPS = ("site", "test")


@dataclass(frozen=True)
class Image:
    """A container image of one layer: files, and how they are started."""

    reference: str
    entrypoint: tuple[str, ...]
    command: tuple[str, ...]
    files: Mapping[str, str]
    user: str
    environment: Mapping[str, str]


@dataclass(frozen=True)
class Release:
    """The upstream's own file, and the digest that it must have."""

    urls: Mapping[str, str]
    checksums_url: str | None
    members: Mapping[str, str]
    sha256: Mapping[str, str | None]


@dataclass(frozen=True)
class GoBuild:
    """Programs made from Go modules that a go.mod and go.sum of ours pin."""

    directory: str
    packages: Mapping[str, str]
    ldflags: tuple[str, ...]
    tags: tuple[str, ...]
    usual_seconds: int | None


@dataclass(frozen=True)
class DebianBuild:
    """Files taken out of a Debian package that apt itself verifies."""

    package: str
    members: Mapping[str, str]
    usual_seconds: int | None


@dataclass(frozen=True)
class ChartBuild:
    """A chart of ours, packed."""

    directory: str
    usual_seconds: int | None = None


Build = Union[GoBuild, DebianBuild, ChartBuild]


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

    @property
    def label(self) -> str:
        return f"{self.name} {self.version}"

    def ways(self) -> tuple[str, ...]:
        return tuple(way for way, given in (("release", self.release), ("build", self.build)) if given)


def fill(template: str, version: str, architecture: str, in_url: bool = False) -> str:
    """Put version and architecture where a template names them."""
    shown = quote(version, safe="") if in_url else version
    return template.replace("{version}", shown).replace("{arch}", architecture)


def read_catalogue(entries: Any) -> tuple[Artifact, ...]:
    """Check every entry; the first mistake is raised with the entry's and the field's name."""
    if not isinstance(entries, Sequence) or isinstance(entries, str):
        raise CatalogueError("artifacts.yml: bundle_artifacts must be a list of artifacts.")
    artifacts = tuple(_artifact(number, entry) for number, entry in enumerate(entries, start=1))
    seen: dict[tuple[str, str], int] = {}
    for number, artifact in enumerate(artifacts, start=1):
        first = seen.setdefault((artifact.name, artifact.version), number)
        if first != number:
            raise CatalogueError(f"artifacts.yml, entry {number} ({artifact.label}): entry {first} is the same.")
    return artifacts


def _artifact(number: int, entry: Any) -> Artifact:
    fields = Fields(f"entry {number}", entry)
    name = fields.plain("name")
    fields.entry = f"entry {number} ({name})"
    version = fields.plain("version")
    fields.entry = f"entry {number} ({name} {version})"
    kind = fields.text("kind")
    if kind not in KINDS:
        raise fields.wrong("kind", f"is {kind!r}, but must be one of {', '.join(KINDS)}")
    groups = fields.texts("groups")
    if not groups or not set(groups) <= set(GROUPS):
        raise fields.wrong("groups", f"must name one or more of {', '.join(GROUPS)}")
    image = _image(fields, version) if kind == "image" else None
    files = _files(fields, kind, name, version, image)
    release = _release(fields, kind, files) if fields.has("release") else None
    build = _build(fields, kind, files) if fields.has("build") else None
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
    )
    fields.finish()
    return artifact


def _files(fields: Fields, kind: str, name: str, version: str, image: Image | None) -> tuple[str, ...]:
    given = fields.plains("files")
    if len(set(given)) != len(given):
        raise fields.wrong("files", "names the same file twice")
    if kind == "image" and image:
        needed = tuple(sorted(set(image.files.values())))
        if given and set(given) != set(needed):
            raise fields.wrong("files", f"must be {', '.join(needed)}, which image.files uses (or be left out)")
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
    )
    if not re.fullmatch(
        r"[a-z0-9][a-z0-9.-]*(:\d+)?(/[a-z0-9._-]+)+:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", image.reference
    ):
        raise inner.wrong("image.reference", f"is {image.reference!r}, but wants registry/name:tag")
    if not image.files or not image.entrypoint:
        raise inner.wrong("image", "needs files and an entrypoint")
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


def _build(fields: Fields, kind: str, files: tuple[str, ...]) -> Build:
    inner = fields.inside("build")
    if kind == "archive" or (kind == "chart") != inner.has("chart"):
        raise inner.wrong("build", f"cannot make a thing of kind {kind}")
    usual = inner.number("usual_seconds")
    build: Build
    if inner.has("go"):
        build = GoBuild(
            directory=inner.plain("go"),
            packages=inner.mapping_of_files("packages"),
            ldflags=inner.texts("ldflags"),
            tags=inner.texts("tags"),
            usual_seconds=usual,
        )
        if inner.take("cgo", False) is not False:
            raise inner.wrong("build.cgo", "must be false: everything in the bundle is static")
        _exactly(inner, "packages", build.packages, files)
        if any(path.startswith("-") or " " in path for path in build.packages.values()):
            raise inner.wrong("build.packages", "must map file names to import paths")
    elif inner.has("debian"):
        build = DebianBuild(inner.plain("debian"), inner.mapping_of_files("members"), usual)
        _exactly(inner, "members", build.members, files)
    elif inner.has("chart"):
        build = ChartBuild(inner.plain("chart"), usual)
    else:
        raise inner.wrong("build", "must have one of go, debian or chart")
    inner.finish()
    return build


def _exactly(inner: Fields, name: str, given: Mapping[str, str], files: tuple[str, ...]) -> None:
    if set(given) != set(files):
        raise inner.wrong(f"build.{name}", f"must name exactly the files of this entry ({', '.join(files)})")
