# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller's part: which files are wanted, and which of them the node lacks. Nothing here touches a disk."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from .._bundle.manifest import Entry
from .._bundle.progress import spoken_size
from .._versions import version_key
from .errors import ArtifactError
from .places import BASE, CURRENT, PREVIOUS

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
# A file system that is filled to its last byte troubles everybody on it.
MARGIN = 16 << 20
NOTHING = "Nothing was changed."


@dataclass(frozen=True)
class Wish:
    """What the task asks for."""

    name: str
    version: str = ""
    files: tuple[str, ...] = ()
    activate: bool = True
    links: Mapping[str, str] = field(default_factory=dict)
    dest: str = ""


@dataclass(frozen=True)
class Plan:
    """What is to be done. `copy` are entries of the bundle by the name of their file on the node."""

    version: str
    copy: Mapping[str, Entry]
    mend: tuple[str, ...]
    activate: bool
    links: Mapping[str, str]

    @property
    def changed(self) -> bool:
        return bool(self.copy or self.mend or self.activate or self.links)


def judge(wish: Wish) -> None:
    """Refuse what can be seen to be wrong without asking anybody."""
    wrong = [
        text
        for text in (wish.name, wish.version, *wish.files, *wish.links.values())
        if text and not NAME.fullmatch(text)
    ]
    if wrong or wish.version in (CURRENT, PREVIOUS):
        raise ArtifactError(
            f"{(wrong or [wish.version])[0]!r} is no name for an artifact, a version or a file. {NOTHING}"
        )
    for path in (*wish.links, *([wish.dest] if wish.dest else [])):
        if not path.startswith("/") or ".." in path.split("/") or path.endswith("/"):
            raise ArtifactError(f"{path!r} must be an absolute path of a file, without '..'. {NOTHING}")
    if wish.dest and wish.links:
        raise ArtifactError(f"{wish.name}: links are for versions; a file that goes to dest has none. {NOTHING}")


def choose(wish: Wish, entries: Sequence[Entry], seen: Mapping[str, Any], host: str) -> Plan:
    """What is wanted, against what the node told of itself."""
    arch = ARCHITECTURES.get(str(seen["machine"]), str(seen["machine"]))
    offered = [entry for entry in entries if entry.name == wish.name and entry.arch in (arch, "all")]
    version = wish.version or max((entry.version for entry in offered), key=version_key, default="")
    chosen = {PurePosixPath(entry.path).name: entry for entry in offered if entry.version == version}
    if not version or (not chosen and version not in seen["versions"]):
        raise ArtifactError(_not_there(wish, arch, offered, seen, host))
    if wish.dest:
        return _single(wish, version, chosen, seen, host)
    there = seen["versions"].get(version, {})
    wanted = wish.files or tuple(sorted(chosen or there))
    missing = [file for file in (*wanted, *wish.links.values()) if file not in (chosen or there)]
    if missing:
        raise ArtifactError(
            f"{wish.name} {version} has no file {missing[0]}; it has {', '.join(chosen or there)}. {NOTHING}"
        )
    copy = {file: chosen[file] for file in wanted if file in chosen and _digest(there, file) != chosen[file].sha256}
    damaged = [file for file in wanted if file not in chosen and there[file]["sha256"] != there[file]["came_as"]]
    if damaged:
        raise ArtifactError(
            f"{host}: {damaged[0]} of {wish.name} {version} is not what once was installed, and the bundle does not "
            f"hold that version to mend it. {NOTHING} Add {wish.name} {version} to the bundle and run this again."
        )
    taken = [path for path, target in seen["links"].items() if target == "!"]
    if taken:
        raise ArtifactError(
            f"{host}: {taken[0]} is a file that Holdfast did not put there, and a link to {wish.name} is wanted. "
            f"{NOTHING} Look what it is, remove it or its package, and run this again."
        )
    return Plan(
        version=version,
        copy=copy,
        mend=tuple(file for file in wanted if file not in copy and not there[file]["runs"]),
        activate=wish.activate and seen["current"] != version,
        links={
            path: file
            for path, file in wish.links.items()
            if seen["links"][path] != str(BASE / wish.name / CURRENT / file)
        },
    )


def check_room(plan: Plan, seen: Mapping[str, Any], host: str) -> None:
    """Say it before the first byte goes."""
    need = sum(entry.size for entry in plan.copy.values())
    if need and seen["free_bytes"] < need + MARGIN:
        where = str(PurePosixPath(seen["incoming"]).parent)
        raise ArtifactError(
            f"{host}: {' and '.join(sorted(plan.copy))} need {spoken_size(need)} at {where}, and "
            f"{spoken_size(seen['free_bytes'])} are free ({spoken_size(MARGIN)} must stay free). Nothing was copied. "
            "Free some space on it and run this again."
        )


def _digest(there: Mapping[str, Any], file: str) -> str:
    return str(there.get(file, {}).get("sha256", ""))


def _single(wish: Wish, version: str, chosen: Mapping[str, Entry], seen: Mapping[str, Any], host: str) -> Plan:
    found = [entry for file, entry in chosen.items() if not wish.files or file in wish.files]
    if len(found) != 1:
        raise ArtifactError(
            f"{host}: {wish.name} {version} has {len(found)} files to choose from ({', '.join(chosen) or 'none'}), and "
            f"one goes to {wish.dest}; name it in files. {NOTHING}"
        )
    copy = {PurePosixPath(wish.dest).name: found[0]} if seen["dest_sha256"] != found[0].sha256 else {}
    return Plan(version=version, copy=copy, mend=(), activate=False, links={})


def _not_there(wish: Wish, arch: str, offered: Sequence[Entry], seen: Mapping[str, Any], host: str) -> str:
    bundle = ", ".join(sorted({entry.version for entry in offered}, key=version_key)) or "none"
    node = ", ".join(seen["versions"]) or "none"
    return (
        f"{host}: {wish.name} {wish.version or '(the newest)'} for {arch} is neither in the bundle ({bundle}) nor "
        f"on the node ({node}). {NOTHING} Make a bundle that holds it, or ask for one of those."
    )
