# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The words of the test bed: hosts, sets of hosts, and what a tier must be able to do."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

Report = Callable[[str], None]
"""Prints one line of progress: what is being done and how long it usually takes."""

FAULTS = ("kill", "pause", "cut", "slow", "fill", "skew", "reboot")

ALIVE_STATES = ("running", "paused", "stopped", "missing")
"""What ``Tier.alive`` answers for each host: stopped exists but has no power, missing does not exist."""


class HostsError(Exception):
    """Something an operator can act on; the message is the whole sentence to show."""


@dataclass(frozen=True)
class Sizing:
    """What each host of a set gets; the disk is a promise that is checked, not a limit on every tier."""

    memory_mb: int
    cpus: int
    disk_gb: int


@dataclass(frozen=True)
class Host:
    """One machine of a set, at an address that stays its own through every fault."""

    name: str
    address: str
    tier: str
    set_name: str
    ssh_port: int = 22
    user: str = "root"


@dataclass(frozen=True)
class HostSet:
    """Hosts of one tier on a network of their own, and the folder that holds their state."""

    name: str
    tier: str
    network: str
    hosts: tuple[Host, ...]
    directory: Path
    key: Path

    @property
    def known_hosts(self) -> Path:
        """Return the file that pins the ssh host keys of this set."""
        return self.directory / "known_hosts"

    @property
    def inventory(self) -> Path:
        """Return the Ansible inventory of this set."""
        return self.directory / "inventory.yml"

    @property
    def gateway(self) -> str:
        """Return the machine's own address in the network: the first one."""
        return str(next(ipaddress.ip_network(self.network).hosts()))

    def host(self, name: str) -> Host:
        """Return the host of that name, or say which names there are."""
        for host in self.hosts:
            if host.name == name:
                return host
        names = ", ".join(host.name for host in self.hosts)
        raise HostsError(f"{self.name}: there is no host {name} in this set; it has {names}.")


class Tier(Protocol):
    """One way to make hosts. Every method may be repeated, and may follow one that was interrupted.

    The caller has written the set's folder, ``set.json``, and the ssh key pair (``key`` and ``key`` + ``.pub``)
    before ``start``, and it holds the set's lock. A tier keeps whatever state it needs in ``host_set.directory``.
    """

    @property
    def name(self) -> str:
        """Return the word that ``--tier`` takes."""

    @property
    def default_sizing(self) -> Sizing:
        """Return what a host gets when nobody asks for more."""

    def check(self, count: int, sizing: Sizing) -> None:
        """Raise HostsError when this machine cannot carry that many hosts: memory, disk, rights, programs."""

    def prepare(self, report: Report) -> None:
        """Make the engine and the cached image ready."""

    def start(self, host_set: HostSet, sizing: Sizing, report: Report) -> None:
        """Boot all hosts and return when ssh answers on each; ``known_hosts`` is written when it returns."""

    def destroy(self, host_set: HostSet) -> None:
        """Remove all that was made for this set, also what an interrupted start left; nothing else."""

    def alive(self, host_set: HostSet) -> dict[str, str]:
        """Return one of ALIVE_STATES for each host name."""

    def inflict(self, host_set: HostSet, host: Host, fault: str, options: Mapping[str, str]) -> None:
        """Do the fault to one host; an unsupported one is a HostsError.

        The options are ``rate`` (slow, such as 1mbit), ``megabytes`` (fill: leave that many free) and
        ``seconds`` (skew: how far the clock is moved, may be negative).
        """

    def heal(self, host_set: HostSet, host: Host) -> None:
        """Undo every fault of one host and return when ssh answers again."""
