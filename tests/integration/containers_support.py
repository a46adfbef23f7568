# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of container hosts need besides the test bed itself."""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.hosts import Host, HostSet, down, engine, networks, run, session_set, state
from tests.hosts.containers import ContainerTier
from tests.hosts.paths import hosts_root

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Live:
    """A set that is up, and how long that took once the image was there."""

    host_set: HostSet
    seconds: float

    @property
    def first(self) -> Host:
        """Return the host that tests break."""
        return self.host_set.hosts[0]

    @property
    def record(self) -> state.Record:
        """Return what is written down about the set."""
        record = state.load(self.host_set.name)
        assert record is not None
        return record


@contextmanager
def live_set(name: str) -> Iterator[Live]:
    """Give three hosts in a network that is named beforehand; each test leaves them healed."""
    ContainerTier().prepare(print)
    network = free_networks(1)[0]
    started = time.monotonic()
    with session_set(name, count=3, network=network) as host_set:
        seconds = time.monotonic() - started
        assert host_set.network == network
        yield Live(host_set, seconds)
    assert traces(name) == []


@contextmanager
def spare_set(name: str) -> Iterator[str]:
    """Give the name of a set that is taken down again, whatever became of it."""
    yield name
    down(name)
    assert traces(name) == []


def command(*arguments: str, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run the test bed's command as a person would, and return what it said."""
    return subprocess.run(
        [sys.executable, "-m", "tests.hosts", *arguments],
        check=False,
        cwd=REPOSITORY,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        text=True,
        timeout=300,
    )


def start_command(*arguments: str) -> subprocess.Popen[str]:
    """Start the test bed's command, to be interrupted or competed with."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.hosts", *arguments],
        cwd=REPOSITORY,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def wait_until(true: Callable[[], bool], what: str, seconds: float = 30.0) -> None:
    """Return as soon as it is true, and fail with the name of what never came."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not happen within {seconds:.0f} s")
        time.sleep(0.02)


def output(host_set: HostSet, host: Host, shell: str) -> str:
    """Run a shell command on the host that must work, and return what it printed."""
    done = run(host_set, host, shell)
    assert done.returncode == 0, f"{host.name}: {shell!r} ended with {done.returncode}: {done.stderr}"
    return done.stdout.strip()


def boot_id(host_set: HostSet, host: Host) -> str:
    """Return the id of the host's present boot."""
    return output(host_set, host, "cat /proc/sys/kernel/random/boot_id")


def reachable(host: Host, seconds: float = 1.0) -> bool:
    """Return whether the host's ssh port says its greeting within that time."""
    try:
        with socket.create_connection((host.address, host.ssh_port), timeout=seconds) as connection:
            connection.settimeout(seconds)
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def free_networks(count: int) -> list[str]:
    """Return free networks from the end of the pool, far from those that are taken by default."""
    used = [*engine.used_networks(), *networks.used_by_kernel()]
    free = [str(n) for n in networks.POOL.subnets(new_prefix=24) if not any(n.overlaps(u.network) for u in used)]
    return free[-count:]


def of_set(name: str) -> dict[str, str | list[str] | bool]:
    """Return the engine's filter for all that belongs to a set."""
    return {"label": f"holdfast.set={name}"}


def traces(name: str) -> list[str]:
    """Return everything that still belongs to a set: in the engine, in the kernel, on the disk."""
    client = engine.connect()
    labels = of_set(name)
    found = [f"container {c.name}" for c in client.containers.list(all=True, filters=labels, ignore_removed=True)]
    found += [f"network {n.name}" for n in client.networks.list(filters=labels)]
    mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    folder = hosts_root() / "sets" / name
    found += [f"mount {line.split()[4]}" for line in mounts if f"{folder}/" in line]
    listed = subprocess.run(["losetup", "--list", "--json"], check=True, capture_output=True, text=True).stdout
    loops = json.loads(listed)["loopdevices"] if listed.strip() else []
    found += [f"loop device of {loop['back-file']}" for loop in loops if f"{folder}/" in str(loop["back-file"])]
    return found + ([f"folder {folder}"] if folder.exists() else [])


@contextmanager
def leaving_packets(destination: str) -> Iterator[Callable[[], int]]:
    """Count the IPv4 packets to that address that leave this machine by any interface but a container's."""
    inside = ("lo", "hf", "veth", "docker", "br-")
    wanted = socket.inet_aton(destination)
    count = 0
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0003)) as listener:
        listener.setblocking(False)

        def seen() -> int:
            nonlocal count
            while True:
                try:
                    packet, where = listener.recvfrom(65535)
                except BlockingIOError:
                    return count
                leaving = where[2] == socket.PACKET_OUTGOING and not where[0].startswith(inside)
                if leaving and len(packet) >= 20 and struct.unpack("4s", packet[16:20])[0] == wanted:
                    count += 1

        yield seen
