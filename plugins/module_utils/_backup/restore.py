# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The node's part of a restore: what the controller brought is proved again, then put where etcd and k3s find it.

Neither etcd nor k3s may run meanwhile. What was there before is put aside in the same folder, never removed.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import etcd
from .collect import K3S_STATE
from .errors import BackupError, disk_sentences
from .make import MIB, file_system_of
from .shape import MANIFEST, SNAPSHOT, Manifest, reading, sha256_of

STAGE = "stage.tar"
SYSTEMD = Path("/etc/systemd/system")
UNITS = ("k3s", "k3s-agent", "etcd")
# Role etcd writes there to which cluster a member belongs.
FACTS = Path("/etc/holdfast/etcd/facts.json")
BEFORE = ".before-restore"
FRESH = ".restore"


@dataclass(frozen=True)
class Member:
    """This node as a member of the restored etcd."""

    name: str
    peer_url: str
    # Every member and its peer address, equal on all of them.
    cluster: Mapping[str, str]
    token: str
    data: Path
    owner: str
    etcdutl: str
    # Clients that saw later revisions must never see one of them again with another content.
    bump: int


def prepare(folder: Path, uid: int, gid: int) -> None:
    """An empty folder in memory for the user who will bring the files."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    if file_system_of(folder.parent) not in ("tmpfs", "ramfs"):
        raise BackupError(
            f"{folder.parent} is no tmpfs, so what is brought there would reach a disk. Nothing was restored."
        )
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    os.chown(folder, uid, gid)


def unpack(folder: Path) -> Manifest:
    """What the controller brought, every file compared with the manifest once more."""
    try:
        with tarfile.open(folder / STAGE, "r:") as tar:
            for member in tar.getmembers():
                path = Path(member.name)
                if not member.isreg() or path.is_absolute() or ".." in path.parts:
                    raise BackupError(f"{folder / STAGE} holds {member.name!r}, which is no part of a backup.")
                target = folder / path
                target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                with reading(tar, member) as stream, target.open("wb") as out:
                    shutil.copyfileobj(stream, out, MIB)
        (folder / STAGE).unlink()
        manifest = Manifest.parse((folder / MANIFEST).read_bytes(), folder)
    except (tarfile.TarError, FileNotFoundError) as error:
        raise BackupError(
            f"{folder} does not hold what the controller brought ({error}). Run the restore again."
        ) from error
    for file in manifest.files:
        path = folder / file.path
        if not file.path.startswith("configuration/") and (not path.is_file() or sha256_of(path) != file.sha256):
            raise BackupError(f"{file.path} did not come to this node as it is in the backup. Run the restore again.")
    return manifest


def has_data(data: Path) -> bool:
    return (data / "member").exists()


def look(data: Path, k3s: Path) -> dict[str, Any]:
    """What of a site lies on the node already, and which of its services there are."""
    found = [str(data)] if has_data(data) else []
    if (k3s / "server/tls/server-ca.key").exists() or (k3s / "agent/client-kubelet.key").exists():
        found.append(str(k3s))
    return {"data": found, "units": [name for name in UNITS if (SYSTEMD / f"{name}.service").exists()]}


def unused(path: Path) -> Path:
    """That path, or the first with a number behind it: what an earlier run put there may be the only one there is."""
    numbered = (path.with_name(f"{path.name}-{number}") for number in itertools.count(2))
    return next(each for each in itertools.chain([path], numbered) if not each.exists())


def put_aside(data: Path) -> bool:
    """Let a member begin anew: its data wait beside it, and what was written down about its cluster is forgotten."""
    facts = FACTS.exists()
    FACTS.unlink(missing_ok=True)
    if not has_data(data):
        return facts
    before = unused(data / BEFORE)
    before.mkdir(mode=0o700)
    (data / "member").replace(before / "member")
    os.sync()
    return True


def forget_cluster() -> None:
    """The restored cluster is another one; role etcd writes down which, once it serves."""
    try:
        facts = json.loads(FACTS.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return
    facts.pop("cluster", None)
    temporary = FACTS.with_name(f".{FACTS.name}{FRESH}")
    temporary.write_text(json.dumps(facts, indent=4, sort_keys=True) + "\n", encoding="utf-8")
    shutil.copymode(FACTS, temporary)
    temporary.replace(FACTS)


def restore_etcd(folder: Path, member: Member) -> None:
    """A new data folder from the snapshot, as a member of a cluster that has never been."""
    fresh = member.data / FRESH
    shutil.rmtree(fresh, ignore_errors=True)
    command = [member.etcdutl, "snapshot", "restore", str(folder / SNAPSHOT), f"--name={member.name}"]
    command += [f"--initial-advertise-peer-urls={member.peer_url}", f"--initial-cluster-token={member.token}"]
    command += [f"--initial-cluster={','.join(f'{name}={url}' for name, url in sorted(member.cluster.items()))}"]
    command += [f"--bump-revision={member.bump}", "--mark-compacted", f"--data-dir={fresh}"]
    with disk_sentences(member.data, f"Restoring etcd on {member.name}"):
        member.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        code, _printed, said = etcd.run(command, etcd.SNAPSHOT_SECONDS)
        if code != 0:
            shutil.rmtree(fresh, ignore_errors=True)
            raise BackupError(
                f"etcdutl could not restore the snapshot on {member.name}: {etcd.reason(said)}. Nothing was changed."
            )
        for path in (fresh, *fresh.rglob("*")):
            shutil.chown(path, member.owner, member.owner)
        shutil.chown(member.data, member.owner, member.owner)
        # The cluster that was made only to make this one's place is empty.
        shutil.rmtree(member.data / "member", ignore_errors=True)
        (fresh / "member").replace(member.data / "member")
        shutil.rmtree(fresh)
    forget_cluster()
    os.sync()


def restore_k3s(folder: Path, manifest: Manifest, data: Path) -> list[str]:
    """CAs and credentials with the times of the backup.

    k3s compares them with its copy in the datastore and stops where one differs and is newer than that one; the
    file of the backup is of the same moment. Leaf certificates of another CA are put aside, and k3s makes them anew.
    """
    server = data / "server"
    other = _other_authority(server / "tls/server-ca.crt", manifest)
    if other:
        for name in ("tls", "cred"):
            if (server / name).exists():
                (server / name).replace(unused(server / f"{name}{BEFORE}"))
    placed = []
    times = {file.path: file.mtime for file in manifest.files}
    for name in K3S_STATE:
        source = folder / "k3s/server" / name
        if not source.is_file():
            continue
        target = server / name
        for parent in reversed([parent for parent in target.parents if not parent.exists()]):
            parent.mkdir(mode=0o700)
        temporary = target.with_name(f".{target.name}{FRESH}")
        handle = os.open(temporary, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
        with os.fdopen(handle, "wb") as stream:
            stream.write(source.read_bytes())
            os.fchmod(handle, 0o644 if name.endswith(".crt") else 0o600)
        moment = times[f"k3s/server/{name}"]
        os.utime(temporary, (moment, moment))
        temporary.replace(target)
        placed.append(str(target))
    os.sync()
    return placed


def _other_authority(path: Path, manifest: Manifest) -> bool:
    if not path.is_file():
        return False
    return sha256_of(path) != manifest.k3s.get("server_ca_sha256")


def password_of(token: str) -> str:
    """The bare password of a token in any of its forms."""
    text = token.strip()
    return text.rsplit(":", 1)[-1] if text.startswith("K10") else text


__all__ = ["Member", "has_data", "password_of", "prepare", "restore_etcd", "restore_k3s", "unpack", "unused"]
