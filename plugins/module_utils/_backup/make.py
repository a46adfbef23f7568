# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes one backup of a site on one of its servers.

What is not sealed yet stays in memory or in a folder of a tmpfs that only root may enter; only sealed bytes
reach a disk.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import shutil
import tarfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from . import etcd
from .collect import Content, collect
from .errors import BackupError, disk_sentences
from .sealing import seal_tar
from .settings import Settings
from .shape import (
    CONTROLLER_PART,
    HEADER,
    IDENTITY,
    MANIFEST,
    NODE_PART,
    SNAPSHOT,
    SUFFIX,
    File,
    Header,
    Manifest,
    Writer,
    inspect,
    sha256_of,
)

MIB = 1 << 20
LOCK_SECONDS = 120.0
_TMPFS = ("tmpfs", "ramfs")


@dataclass(frozen=True)
class Made:
    """A backup that lies finished and checked in the node's folder."""

    path: Path
    header: Header
    size: int
    sha256: str
    member: etcd.Member
    snapshot: etcd.Snapshot
    files: int


def make(settings: Settings, controller_part: bytes = b"") -> Made:
    """One backup, whole and checked, or a sentence and no trace."""
    with only_one(settings), _workshop(settings) as work:
        member = healthy_member(settings)
        _room(settings, work, member)
        with disk_sentences(work, "Taking the snapshot"):
            snapshot = etcd.take(settings, member, work / "snapshot.db")
        contents = collect(settings)
        created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        header = Header(settings.site, settings.node, created, member.version, k3s_version(settings))
        manifest = manifest_of(settings, header, member, snapshot, contents)
        path = settings.folder / header.name
        with disk_sentences(settings.folder, f"Writing {path.name}"):
            _write(settings, path, manifest, contents, snapshot.path, controller_part)
        return Made(path, header, path.stat().st_size, sha256_of(path), member, snapshot, len(manifest.files))


def healthy_member(settings: Settings) -> etcd.Member:
    found, said = etcd.members(settings)
    member = etcd.choose(found, settings.nodes.get(settings.node, ""))
    if member is None:
        raise BackupError(
            f"No member of etcd is fit for a snapshot, asked from {settings.node}: {said}. No backup was made; earlier "
            "ones are untouched. Repair etcd (journalctl -u etcd on each member), then run this again."
        )
    return member


def k3s_version(settings: Settings) -> str:
    code, printed, _said = etcd.run([settings.k3s, "--version"], etcd.QUESTION_SECONDS)
    words = printed.split()
    return words[2].lstrip("v") if code == 0 and words[:2] == ["k3s", "version"] and len(words) > 2 else ""


def manifest_of(
    settings: Settings, header: Header, member: etcd.Member, snapshot: etcd.Snapshot, contents: Sequence[Content]
) -> Manifest:
    ca = next((item.file.sha256 for item in contents if item.file.path == "k3s/server/tls/server-ca.crt"), "")
    files = (File(SNAPSHOT, snapshot.size, sha256_of(snapshot.path)), *(item.file for item in contents))
    return Manifest(
        header=header,
        nodes=dict(settings.nodes),
        etcd={
            "version": member.version,
            "cluster_id": member.cluster_id,
            "taken_from": member.endpoint,
            "leader": member.leader,
            "hash": snapshot.hash,
            "revision": snapshot.revision,
            "keys": snapshot.keys,
        },
        k3s={"version": header.k3s_version, "server_ca_sha256": ca},
        files=files,
    )


def _write(
    settings: Settings, path: Path, manifest: Manifest, contents: Sequence[Content], snapshot: Path, controller: bytes
) -> None:
    def fill(tar: tarfile.TarFile) -> None:
        _add(tar, MANIFEST, manifest.render())
        for item in contents:
            _add(tar, item.file.path, item.data, item.file.mtime)
        member = tarfile.TarInfo(SNAPSHOT)
        member.size, member.mode = snapshot.stat().st_size, 0o600
        with snapshot.open("rb") as stream:
            tar.addfile(member, stream)

    partial = path.with_name(f".{path.name}.part")
    handle = os.open(partial, os.O_CREAT | os.O_TRUNC | os.O_RDWR, 0o600)
    try:
        with os.fdopen(handle, "w+b") as stream:
            writer = Writer(stream)
            writer.add(HEADER, manifest.header.render())
            at = writer.begin(NODE_PART)
            seal_tar(settings.age, settings.recipients, stream, fill)
            writer.end(NODE_PART, at)
            if controller:
                writer.add(CONTROLLER_PART, controller)
            if settings.identity_vault:
                writer.add(IDENTITY, settings.identity_vault.encode())
            writer.finish()
            os.fsync(stream.fileno())
        inspect(partial)
        partial.replace(path)
        sync_folder(path.parent)
    finally:
        partial.unlink(missing_ok=True)


def _add(tar: tarfile.TarFile, name: str, data: bytes, mtime: float = 0.0) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode, member.mtime = len(data), 0o600, mtime
    tar.addfile(member, io.BytesIO(data))


def sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


# ---- room -----------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def only_one(settings: Settings) -> Iterator[None]:
    """The timer and a person may want a backup at once; the kernel drops the lock when a run dies."""
    settings.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    handle = os.open(settings.folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        deadline = time.monotonic() + LOCK_SECONDS
        while True:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise BackupError(
                        f"Another backup has been at work in {settings.folder} on {settings.node} for "
                        f"{LOCK_SECONDS:.0f} s. Nothing was changed. See: systemctl status holdfast-backup"
                    ) from None
                time.sleep(0.5)
        for left in settings.folder.glob(f".*{SUFFIX}.part"):
            # Of a run that was killed.
            left.unlink()
        yield
    finally:
        os.close(handle)


@contextlib.contextmanager
def _workshop(settings: Settings) -> Iterator[Path]:
    """An empty folder of memory, for root only, that is gone afterwards."""
    settings.work.parent.mkdir(parents=True, exist_ok=True)
    if file_system_of(settings.work.parent) not in _TMPFS:
        raise BackupError(
            f"{settings.work.parent} on {settings.node} is no tmpfs, so what is not sealed yet would reach a disk. No "
            "backup was made. Mount a tmpfs there."
        )
    shutil.rmtree(settings.work, ignore_errors=True)
    settings.work.mkdir(mode=0o700)
    try:
        yield settings.work
    finally:
        shutil.rmtree(settings.work, ignore_errors=True)


def file_system_of(path: Path, mounts: Path = Path("/proc/self/mounts")) -> str:
    """The type of the file system that a path is on."""
    best, kind = "", ""
    for line in mounts.read_text(encoding="utf-8").splitlines():
        place, found = line.split(" ")[1:3]
        place = place.replace("\\040", " ")
        inside = place == "/" or path == Path(place) or str(path).startswith(f"{place}/")
        if inside and len(place) >= len(best):
            best, kind = place, found
    return kind


def _room(settings: Settings, work: Path, member: etcd.Member) -> None:
    """Refuse before the disk or the memory is full: others live on both."""
    needed = member.size // MIB + 16
    for place, reserve, remedy in (
        (work, 0, "Run playbooks/datastore_defrag.yml, or give /run more room"),
        (settings.folder, settings.reserve_mb, "Free some space, or let backup_keep be smaller"),
    ):
        stats = os.statvfs(place)
        free = stats.f_bavail * stats.f_frsize // MIB
        if free < needed + reserve:
            raise BackupError(
                f"{settings.node} has {free} MiB free at {place}, and a backup needs {needed} MiB"
                f"{f' beside the {reserve} MiB that must stay free' if reserve else ''}. No backup was made; earlier "
                f"ones are untouched. {remedy}, then run it again."
            )
