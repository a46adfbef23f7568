# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The ways in which artifacts.yml lets things be built here, checked and turned into facts."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Union

from .catalogue_fields import PLAIN_NAME, Fields

# What each kind of build can make.
MAKES = {
    "go": ("binaries", "image"),
    "debian": ("binaries", "image"),
    "chart": ("chart",),
    "compose": ("binaries",),
    "images": ("archive",),
    "root": ("image",),
}
# A composed program tells here what it is made of.
CONTENTS = "payload.json"


@dataclass(frozen=True)
class Part:
    """A file of another artifact. What is not a set of programs is one file, which needs no name here."""

    name: str
    version: str
    file: str = ""

    @property
    def label(self) -> str:
        return f"{self.name} {self.version}"


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


@dataclass(frozen=True)
class ComposeBuild:
    """A program that carries an archive with files of other artifacts behind it."""

    program: Part
    members: Mapping[str, Part]
    images: tuple[Part, ...]
    links: Mapping[str, str]
    usual_seconds: int | None = None


@dataclass(frozen=True)
class ImagesBuild:
    """Several images in one archive."""

    images: tuple[Part, ...]
    usual_seconds: int | None = None


@dataclass(frozen=True)
class RootBuild:
    """A root file system of Debian packages, locked wheels, and what lies beside the catalogue."""

    packages: tuple[str, ...]
    # A requirements file with hashes, below the catalogue's folder.
    wheels: str
    python: str
    # Paths in the root by paths below the catalogue's folder.
    copies: Mapping[str, str]
    # Patterns of what is left out again, in the order in which they are taken away.
    without: tuple[str, ...]
    usual_seconds: int | None = None


Build = Union[GoBuild, DebianBuild, ChartBuild, ComposeBuild, ImagesBuild, RootBuild]


def parts_of(build: Build | None) -> dict[str, Part]:
    """The parts of a build, in a fixed order, each by the field that names it."""
    if isinstance(build, ComposeBuild):
        members = {f"build.compose.members.{path}": part for path, part in build.members.items()}
        images = {f"build.compose.images.{part.name}": part for part in build.images}
        return {"build.compose.program": build.program, **members, **images}
    if isinstance(build, ImagesBuild):
        return {f"build.images.{part.name}": part for part in build.images}
    return {}


def read_build(fields: Fields, kind: str, files: tuple[str, ...]) -> Build:
    """The field `build` of an entry."""
    inner = fields.inside("build")
    ways = [way for way in MAKES if inner.has(way)]
    if len(ways) != 1:
        raise inner.wrong("build", f"must have one of {', '.join(MAKES)}")
    if kind not in MAKES[ways[0]]:
        raise inner.wrong("build", f"cannot make a thing of kind {kind} with {ways[0]}")
    build = _READERS[ways[0]](inner, files, inner.number("usual_seconds"))
    inner.finish()
    return build


def _go(inner: Fields, files: tuple[str, ...], usual: int | None) -> GoBuild:
    directory = inner.text("go")
    build = GoBuild(
        directory=directory if directory == "." else inner.plain_text("go", directory),
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
    return build


def _debian(inner: Fields, files: tuple[str, ...], usual: int | None) -> DebianBuild:
    build = DebianBuild(inner.plain("debian"), inner.mapping_of_files("members"), usual)
    _exactly(inner, "members", build.members, files)
    return build


def _chart(inner: Fields, _files: tuple[str, ...], usual: int | None) -> ChartBuild:
    return ChartBuild(inner.plain("chart"), usual)


def _compose(inner: Fields, files: tuple[str, ...], usual: int | None) -> ComposeBuild:
    compose = inner.inside("compose")
    members = compose.mapping("members")
    for path in members:
        parts = PurePosixPath(path)
        if parts.is_absolute() or ".." in parts.parts or str(parts) != path or path in ("", ".", CONTENTS):
            raise compose.wrong("build.compose.members", f"has {path!r}, but wants paths that stay in the archive")
    build = ComposeBuild(
        program=_program(compose, "program", compose.text("program")),
        members={path: _program(compose, f"members.{path}", text) for path, text in sorted(members.items())},
        images=_images(compose),
        links=compose.mapping_of_files("links"),
        usual_seconds=usual,
    )
    if not members or len(files) != 1:
        raise compose.wrong("build.compose", "makes one file and needs one or more members")
    compose.finish()
    return build


def _images_archive(inner: Fields, _files: tuple[str, ...], usual: int | None) -> ImagesBuild:
    return ImagesBuild(_images(inner), usual)


def _root(inner: Fields, files: tuple[str, ...], usual: int | None) -> RootBuild:
    root = inner.inside("root")
    build = RootBuild(
        packages=root.plains("debian"),
        wheels=root.text("wheels"),
        python=root.text("python"),
        copies=root.mapping("copies"),
        without=root.texts("without"),
        usual_seconds=usual,
    )
    for path in (build.wheels, *build.copies, *build.copies.values(), *build.without):
        if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
            raise root.wrong("build.root", f"has {path!r}, but wants relative paths that lead nowhere else")
    if not build.packages or len(files) != 1 or not re.fullmatch(r"3\.\d+", build.python):
        raise root.wrong("build.root", "makes one file, and needs packages and a Python such as '3.11'")
    root.finish()
    return build


def _program(inner: Fields, field: str, text: str) -> Part:
    words = text.split(" ")
    if len(words) != 3 or not all(PLAIN_NAME.fullmatch(word) for word in words):
        raise inner.wrong(inner.path(field), f"is {text!r}, but wants 'artifact version file'")
    return Part(*words)


def _images(inner: Fields) -> tuple[Part, ...]:
    found: dict[str, Part] = {}
    for text in inner.texts("images"):
        words = text.split(" ")
        if len(words) != 2 or not all(PLAIN_NAME.fullmatch(word) for word in words):
            raise inner.wrong(inner.path("images"), f"has {text!r}, but wants 'image version'")
        if words[0] in found:
            raise inner.wrong(inner.path("images"), f"names {words[0]} twice")
        found[words[0]] = Part(*words)
    return tuple(found.values())


def _exactly(inner: Fields, name: str, given: Mapping[str, str], files: tuple[str, ...]) -> None:
    if set(given) != set(files):
        raise inner.wrong(f"build.{name}", f"must name exactly the files of this entry ({', '.join(files)})")


_READERS: dict[str, Callable[[Fields, tuple[str, ...], int | None], Build]] = {
    "go": _go,
    "debian": _debian,
    "chart": _chart,
    "compose": _compose,
    "images": _images_archive,
    "root": _root,
}
