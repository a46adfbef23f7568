# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes static programs from Go modules, so that the same recipe gives the same bytes on any machine."""

from __future__ import annotations

import errno
import functools
import os
import re
import shlex
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .catalogue import CATALOGUE, Artifact, fill
from .catalogue_builds import GoBuild
from .commands import run_guarded, run_quietly
from .errors import BundleError
from .files import sha256_of

# -modcacherw: a module cache that its owner can remove like any other folder. -dwarf=false: the linker drops what
# debuggers read (-w), and not to write it in the first place saves a sixth of the compiler's time.
GO_FLAGS = "-mod=readonly -trimpath -buildvcs=false -modcacherw -gcflags=all=-dwarf=false"
# Whatever the user's own settings are, these decide the bytes that come out.
PINNED = {
    "CGO_ENABLED": "0",
    "GOOS": "linux",
    "GOFLAGS": GO_FLAGS,
    "GOTOOLCHAIN": "local",
    "GOWORK": "off",
    "GOEXPERIMENT": "",
    "GOAMD64": "v1",
    "GOARM64": "v8.0",
    "GOFIPS140": "off",
}
_PACKAGE_LINE = re.compile(r"[\w.~/-]+")


def environment(cache: Path, architecture: str) -> dict[str, str]:
    """The user's environment (proxy, mirror) with all that decides the result set by us."""
    own = {"GOARCH": architecture, "GOMODCACHE": str(cache / "go" / "mod"), "GOCACHE": str(cache / "go" / "build")}
    return {**os.environ, **PINNED, **own}


@functools.lru_cache(maxsize=4)
def go_version(program: str) -> str:
    """The version of the Go toolchain, as in 1.26.8."""
    try:
        found = run_quietly([program, "env", "GOVERSION"], environment={**os.environ, "GOTOOLCHAIN": "local"})
    except (OSError, subprocess.CalledProcessError) as error:
        raise BundleError(
            f"Go is needed to build parts of the bundle, but {program!r} does not start ({error}). Install Go, or "
            "take the upstreams' own files with bundle_way: release."
        ) from error
    # A toolchain of one's own may call itself "devel go1.27-…"; the digits are what counts.
    return re.sub(r"^(devel )?go", "", found.strip())


def recipe_facts(
    artifact: Artifact, build: GoBuild, architecture: str, directory: Path, program: str
) -> dict[str, Any]:
    """All that decides the result: sources and pins, flags, toolchain, architecture."""
    label = artifact.label
    module = directory / "go.mod"
    if not module.is_file() or (
        not (directory / "go.sum").is_file() and re.search(r"^\s*require\b", module.read_text(), re.M)
    ):
        raise BundleError(
            f"{label}: {directory} has no go.mod and go.sum, so its sources are not pinned. Restore them."
        )
    version = go_version(program)
    wanted = re.search(r"^go\s+(\S+)", module.read_text(encoding="utf-8"), re.M)
    if wanted and _numbers(version) < _numbers(wanted.group(1)):
        raise BundleError(
            f"{label} needs Go {wanted.group(1)} or later to build, and here is Go {version}. Install a later Go, "
            "or take the upstream's own file with bundle_way: release."
        )
    sources = {
        path.relative_to(directory).as_posix(): sha256_of(path)
        for path in _sources(directory, whole=build.directory != ".")
    }
    return {
        "how": "go",
        "toolchain": version,
        "architecture": architecture,
        "sources": sources,
        "packages": dict(build.packages),
        "ldflags": linker_flags(artifact, build, architecture),
        "tags": list(build.tags),
        "pinned": PINNED,
    }


def place_of(artifact: Artifact, build: GoBuild) -> Path:
    """The folder of the recipe; "." is the catalogue's own."""
    return artifact.folder if build.directory == "." else artifact.folder / "build" / build.directory


def _sources(directory: Path, whole: bool) -> Iterator[Path]:
    """All that go may read for a program. A catalogue's own folder holds other things too."""
    for path in sorted(directory.rglob("*")):
        inside = path.relative_to(directory)
        foreign = not whole and (inside.parts[0] in ("build", "charts", CATALOGUE) or "__pycache__" in inside.parts)
        if not foreign and path.is_file() and path.suffix != ".md" and not path.name.endswith("_test.go"):
            yield path


def linker_flags(artifact: Artifact, build: GoBuild, architecture: str) -> str:
    """One text, as the go command wants it."""
    return " ".join(fill(flag, artifact.version, architecture) for flag in build.ldflags)


class GoRun:
    """One artifact being built; `status` tells how far it is."""

    def __init__(self, artifact: Artifact, build: GoBuild, architecture: str, directory: Path) -> None:
        self._artifact = artifact
        self._build = build
        self._architecture = architecture
        self._directory = directory
        self._compiled = 0
        self._last: list[str] = []

    def status(self) -> str:
        return f"{self._compiled} packages compiled"

    def _line(self, said: str) -> None:
        # With -v go names each package that it compiles; all else that it says is worth keeping for an error.
        if _PACKAGE_LINE.fullmatch(said):
            self._compiled += 1
        else:
            self._last = [*self._last[-19:], said]

    def make(self, to: Path, cache: Path, program: str, cancel: threading.Event) -> dict[str, Path]:
        """Build every program of the artifact into the folder `to`."""
        settings = {**environment(cache, self._architecture), "GOTMPDIR": str(_folder(to / "go-tmp"))}
        made: dict[str, Path] = {}
        flags = linker_flags(self._artifact, self._build, self._architecture)
        for name, package in self._build.packages.items():
            made[name] = to / name
            command = [program, "build", "-v", "-ldflags", flags, "-o", str(to / name)]
            if self._build.tags:
                command += ["-tags", ",".join(self._build.tags)]
            code = run_guarded([*command, package], self._directory, settings, cancel, self._line)
            if code != 0 or not made[name].is_file():
                raise self._failed(code, command, package, cache)
        return made

    def _failed(self, code: int, command: list[str], package: str, cache: Path) -> Exception:
        if any("no space left on device" in said for said in self._last):
            return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(cache))
        by_hand = ["env", "CGO_ENABLED=0", f"GOARCH={self._architecture}", f"GOFLAGS={GO_FLAGS}"]
        return BundleError(
            f"{self._artifact.label} ({self._architecture}) could not be built, go ended with {code}. It said:\n"
            + "\n".join(self._last)
            + "\nNothing of it was kept but what go itself caches, and the bundle is as it was. "
            + f"Try it by hand in {self._directory} with: {shlex.join([*by_hand, *command, package])}"
        )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version.split("-")[0])[:3])


def _folder(path: Path) -> Path:
    path.mkdir()
    return path
