# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The questions that a backup asks etcd, by its own two programs."""

from __future__ import annotations

import hashlib
import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .errors import BackupError
from .settings import Settings

QUESTION_SECONDS = 20
# For each member that is asked; the dead ones of a site must leave time for the others.
MEMBER_SECONDS = 8
SNAPSHOT_SECONDS = 600
BLOCK = 1 << 20
TAIL = 32


@dataclass(frozen=True)
class Member:
    """One member that answered."""

    endpoint: str
    version: str
    size: int
    leader: bool
    learner: bool
    revision: int
    cluster_id: str
    member_id: str
    errors: tuple[str, ...] = ()


@dataclass(frozen=True)
class Snapshot:
    """A snapshot that was proved whole."""

    path: Path
    hash: str
    revision: int
    keys: int
    size: int


def certificates(settings: Settings) -> tuple[str, str, str]:
    for folder in map(Path, settings.pki):
        found = [folder / name for name in ("ca.crt", "client.crt", "client.key")]
        if all(path.is_file() for path in found):
            return str(found[0]), str(found[1]), str(found[2])
    raise BackupError(
        f"{settings.node} has no client certificate for etcd in {' or '.join(settings.pki)}, so it cannot take a "
        "snapshot. Run site.yml."
    )


def _etcdctl(
    settings: Settings, endpoints: Sequence[str], *arguments: str, seconds: int, each: int
) -> tuple[int, str, str]:
    ca, certificate, key = certificates(settings)
    command = [settings.etcdctl, f"--endpoints={','.join(endpoints)}", f"--cacert={ca}", f"--cert={certificate}"]
    return run([*command, f"--key={key}", f"--command-timeout={each}s", *arguments], seconds)


def run(command: Sequence[str], seconds: int) -> tuple[int, str, str]:
    """Exit status, what was printed, what was complained."""
    try:
        done = subprocess.run(command, capture_output=True, timeout=seconds, check=False)
    except subprocess.TimeoutExpired:
        return 124, "", f"{command[0]} did not end within {seconds} s"
    except OSError as error:
        return 127, "", f"{command[0]} cannot be started: {error.strerror}"
    return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace").strip()


def members(settings: Settings) -> tuple[tuple[Member, ...], str]:
    """Those that answer, and what was said about the others."""
    _code, printed, said = _etcdctl(
        settings,
        settings.endpoints,
        *("--write-out=json", "endpoint", "status"),
        seconds=QUESTION_SECONDS,
        each=MEMBER_SECONDS,
    )
    try:
        answers = json.loads(printed or "[]")
    except ValueError:
        answers = []
    return tuple(_member(answer) for answer in answers or []), reason(said)


def _member(answer: dict[str, Any]) -> Member:
    status = answer["Status"]
    header = status["header"]
    return Member(
        endpoint=answer["Endpoint"],
        version=status.get("version", ""),
        size=int(status.get("dbSize", 0)),
        leader=status.get("leader") == header.get("member_id"),
        learner=bool(status.get("isLearner", False)),
        revision=int(header.get("revision", 0)),
        cluster_id=f"{int(header.get('cluster_id', 0)):x}",
        member_id=f"{int(header.get('member_id', 0)):x}",
        errors=tuple(status.get("errors") or ()),
    )


def choose(found: Sequence[Member], own: str) -> Member | None:
    """A healthy voter: rather a follower than the leader, rather this node's own than another's."""
    fit = [member for member in found if not member.learner and not any("CORRUPT" in text for text in member.errors)]
    return min(fit, key=lambda m: (m.leader, urlsplit(m.endpoint).hostname != own, m.endpoint), default=None)


def take(settings: Settings, member: Member, path: Path) -> Snapshot:
    """Save a snapshot of that member and prove it: etcd's own sum at its end, and etcdutl's reading of it."""
    code, _printed, said = _etcdctl(
        settings,
        [member.endpoint],
        *("snapshot", "save", str(path)),
        seconds=SNAPSHOT_SECONDS,
        each=SNAPSHOT_SECONDS,
    )
    if code != 0:
        raise BackupError(
            f"{member.endpoint} gave no snapshot: {reason(said)}. No backup was made; earlier ones are untouched."
        )
    path.chmod(0o600)
    if not carries_its_sum(path):
        raise BackupError(
            f"The snapshot of {member.endpoint} does not have its own sum at its end. No backup was made."
        )
    return status_of(settings.etcdutl, path)


def status_of(etcdutl: str, path: Path) -> Snapshot:
    code, printed, said = run([etcdutl, "--write-out=json", "snapshot", "status", str(path)], SNAPSHOT_SECONDS)
    try:
        told = json.loads(printed) if code == 0 else None
    except ValueError:
        told = None
    if not told:
        raise BackupError(f"{etcdutl} cannot read the snapshot: {reason(said)}. Nothing was changed.")
    return Snapshot(
        path=path,
        hash=f"{int(told['hash']):x}",
        revision=int(told["revision"]),
        keys=int(told["totalKey"]),
        size=path.stat().st_size,
    )


def carries_its_sum(path: Path) -> bool:
    """etcd puts the sha256 of a snapshot behind it, which makes its size no multiple of 512."""
    left = path.stat().st_size - TAIL
    if left <= 0 or path.stat().st_size % 512 != TAIL:
        return False
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while left > 0:
            block = stream.read(min(BLOCK, left))
            if not block:
                return False
            digest.update(block)
            left -= len(block)
        return stream.read() == digest.digest()


def reason(said: str) -> str:
    """The last line of a complaint, or the error in one that is JSON."""
    for line in reversed(said.splitlines()):
        if line.startswith("{"):
            try:
                told = json.loads(line)
            except ValueError:
                continue
            return str(told.get("error") or told.get("msg") or line)
        if line.strip():
            return line.strip().rstrip(".")
    return "no reason was given"
