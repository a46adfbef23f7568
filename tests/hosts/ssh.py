# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way into a host: its own key, its pinned host key, and nothing of the user's own ssh configuration."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from .files import write_atomically
from .model import Host, HostsError, HostSet


def ssh_options(host_set: HostSet) -> list[str]:
    """Return the options that every ssh, scp and Ansible connection to this set takes."""
    return [
        "-o",
        f"UserKnownHostsFile={_quoted(host_set.known_hosts)}",
        "-o",
        "GlobalKnownHostsFile=/dev/null",
        "-o",
        "StrictHostKeyChecking=yes",
        "-o",
        "IdentitiesOnly=yes",
        "-o",
        "PasswordAuthentication=no",
        "-o",
        "ConnectTimeout=5",
        "-o",
        "LogLevel=ERROR",
    ]


def ssh_command(host_set: HostSet, host: Host, remote: Sequence[str] = (), *, batch: bool = True) -> list[str]:
    """Return the whole command that opens a shell on the host, or runs ``remote`` there."""
    return [
        "ssh",
        "-F",
        "/dev/null",
        *(["-o", "BatchMode=yes"] if batch else []),
        *ssh_options(host_set),
        "-i",
        str(host_set.key),
        "-p",
        str(host.ssh_port),
        f"{host.user}@{host.address}",
        *remote,
    ]


def run(host_set: HostSet, host: Host, command: str, timeout_seconds: float = 60.0) -> subprocess.CompletedProcess[str]:
    """Run one shell command on the host; its exit status and output are the caller's to judge."""
    return subprocess.run(
        ssh_command(host_set, host, [command]),
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=timeout_seconds,
    )


def answers(host_set: HostSet, host: Host) -> bool:
    """Return whether a login with the set's key works now."""
    try:
        return run(host_set, host, "true", timeout_seconds=15).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def wait_for_ssh(host_set: HostSet, hosts: Sequence[Host], timeout_seconds: float) -> None:
    """Return when a login works on each of the hosts; raise HostsError with the name of one that stays silent."""
    deadline = time.monotonic() + timeout_seconds

    def wait(host: Host) -> str:
        while True:
            try:
                done = run(host_set, host, "true", timeout_seconds=15)
                words = done.stderr.strip().splitlines()
                if done.returncode == 0:
                    return ""
            except subprocess.TimeoutExpired:
                words = ["no answer"]
            if time.monotonic() >= deadline:
                last = words[-1] if words else "no answer"
                return f"{host.name}: ssh at {host.address} did not answer within {timeout_seconds:.0f} s ({last})."
            time.sleep(0.1)

    with ThreadPoolExecutor(max_workers=max(1, len(hosts))) as pool:
        silent = [sentence for sentence in pool.map(wait, hosts) if sentence]
    if silent:
        raise HostsError(" ".join(silent))


def make_key(path: Path) -> None:
    """Make the set's ed25519 key pair, once; half a pair from an interrupted run is made again."""
    public = path.with_name(f"{path.name}.pub")
    if path.exists() and public.exists():
        return
    path.unlink(missing_ok=True)
    public.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"holdfast-{path.parent.name}", "-f", str(path)],
        check=True,
        capture_output=True,
        stdin=subprocess.DEVNULL,
    )


def pin_host_keys(host_set: HostSet, public_keys: dict[str, str]) -> None:
    """Write known_hosts from the public keys, by host name, that the tier read on a way nobody can stand in."""
    lines = []
    for host in host_set.hosts:
        where = host.address if host.ssh_port == 22 else f"[{host.address}]:{host.ssh_port}"
        kind, key = public_keys[host.name].split()[:2]
        lines.append(f"{where} {kind} {key}\n")
    write_atomically(host_set.known_hosts, "".join(lines))


def _quoted(path: Path) -> str:
    # ssh splits this option at spaces itself, whatever the shell did before.
    return f'"{path}"' if " " in str(path) else str(path)
