# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One member that is left of a datastore becomes a datastore of one, with all that it knew."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from . import etcd
from .errors import BackupError, disk_sentences
from .make import MIB
from .restore import forget_cluster, has_data, unused

BEFORE = ".before-recovery"
PROGRAM = "/usr/local/lib/holdfast/etcd/current/etcd"
CONFIGURATION = Path("/etc/holdfast/etcd/etcd.yml")
POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Survivor:
    """The member that is left, and how it is asked."""

    name: str
    endpoint: str
    data: Path = Path("/var/lib/etcd")
    pki: Path = Path("/etc/holdfast/etcd/pki")
    owner: str = "etcd"
    etcdctl: str = "/usr/local/bin/etcdctl"
    # Much data on a slow disk take long to be read; one that ends is not waited for.
    seconds: float = 600.0


def recover(survivor: Survivor, work: Path = Path("/run/holdfast-recover")) -> int:
    """Start it once as the only member, wait until it answers, and stop it again; the revision that it has.

    The service must not run meanwhile. A copy of the data as they were waits beside them.
    """
    if not has_data(survivor.data):
        raise BackupError(
            f"{survivor.name} has no data of etcd in {survivor.data}, so nothing can be recovered from it."
        )
    _keep(survivor)
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(mode=0o700)
    try:
        configuration = work / "etcd.yml"
        configuration.write_text(
            CONFIGURATION.read_text(encoding="utf-8") + "\nforce-new-cluster: true\n", encoding="utf-8"
        )
        shutil.chown(work, survivor.owner, survivor.owner)
        shutil.chown(configuration, survivor.owner, survivor.owner)
        revision = _once(survivor, configuration, work / "log")
    finally:
        shutil.rmtree(work, ignore_errors=True)
    forget_cluster()
    os.sync()
    return revision


def _keep(survivor: Survivor) -> None:
    """Whatever goes wrong now, the data as they were are still there."""
    kept, partial = unused(survivor.data / BEFORE), survivor.data / f"{BEFORE}.part"
    shutil.rmtree(partial, ignore_errors=True)
    size = sum(path.stat().st_size for path in (survivor.data / "member").rglob("*") if path.is_file())
    stats = os.statvfs(survivor.data)
    if stats.f_bavail * stats.f_frsize < size + 64 * MIB:
        raise BackupError(
            f"{survivor.name} has no room in {survivor.data} for a copy of its {size // MIB} MiB of data, and without "
            "one nothing is risked. Nothing was changed. Free some space, then run this again."
        )
    with disk_sentences(survivor.data, "Copying the data"):
        partial.mkdir(mode=0o700)
        shutil.copytree(survivor.data / "member", partial / "member")
        os.sync()
        partial.replace(kept)


def _once(survivor: Survivor, configuration: Path, log: Path) -> int:
    with log.open("wb") as said:
        process = subprocess.Popen(
            [PROGRAM, "--config-file", str(configuration)],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            user=survivor.owner,
            group=survivor.owner,
        )
        try:
            return _wait(survivor, process, log)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait(survivor: Survivor, process: subprocess.Popen[bytes], log: Path) -> int:
    deadline = time.monotonic() + survivor.seconds
    while time.monotonic() < deadline and process.poll() is None:
        revision = _revision(survivor)
        if revision >= 0:
            return revision
        time.sleep(POLL_SECONDS)
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-5:]
    raise BackupError(
        f"{survivor.name} did not become a datastore of its own within {survivor.seconds:.0f} s. Its data as they were "
        f"are in {survivor.data / BEFORE}; restore a backup if it has one. It said: {' | '.join(lines)}"
    )


def _revision(survivor: Survivor) -> int:
    """The revision of a read that a quorum stands for, which is this one member; -1 while there is none."""
    command = [survivor.etcdctl, f"--endpoints={survivor.endpoint}", f"--cacert={survivor.pki / 'ca.crt'}"]
    command += [f"--cert={survivor.pki / 'client.crt'}", f"--key={survivor.pki / 'client.key'}", "--command-timeout=3s"]
    code, printed, _said = etcd.run([*command, "--write-out=fields", "get", "holdfast-recovery"], 10)
    revisions = [line.split(":")[1] for line in printed.splitlines() if line.startswith('"Revision"')]
    return int(revisions[0]) if code == 0 and revisions else -1
