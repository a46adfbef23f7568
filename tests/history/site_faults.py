# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Breaks a server of a running site under load, heals it, and says what clients saw of it."""

from __future__ import annotations

import json
import random
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

from tests.hosts import Host, heal, inflict, run
from tests.integration.kubernetes_remote import wait_until
from tests.site import Site

from .checker import Verdict, judge
from .client import Client, NoAnswerError, Way
from .gaps import acknowledged, longest_gap, longest_silence
from .load import loaded
from .probe import Probe

KUBECONFIG = "/etc/rancher/k3s/k3s.yaml"
PKI = "/etc/holdfast/etcd/pki"
ETCDCTL = (
    f"etcdctl --cacert={PKI}/ca.crt --cert={PKI}/client.crt --key={PKI}/client.key "
    "--dial-timeout=1s --command-timeout=3s -w json"
)
ROLES = ("leader", "follower", "vip", "any")
FAULTS = ("kill", "cut", "pause", "reboot", "fill")
# How long a fault lasts before it is healed: longer than every fail-over, and than etcd's way to notice a full disk.
LASTING = {"kill": 3.0, "cut": 5.0, "pause": 4.0, "reboot": 0.0, "fill": 6.0}
RECOVERY_SECONDS = 120
WARM_SECONDS = 1.0
SERVER_PORT, ANSWER_SECONDS = 6443, 2.0


@dataclass(frozen=True)
class Seen:
    """What clients saw of one fault, in seconds."""

    role: str
    fault: str
    host: str
    leader_before: str
    leader_after: str
    write_gap: float
    election: float
    held_vip: bool
    vip_gap: float
    vip_gap_began: float
    recovered: float
    verdict: Verdict

    @property
    def beyond_election(self) -> float:
        """How much longer than the election nothing was written; one that came after the gap excuses nothing."""
        return self.write_gap - self.election if self.election <= self.write_gap else self.write_gap


class SiteUnderFaults:
    """A site of three servers, its virtual address, and the ways to ask who is what."""

    def __init__(self, site: Site, vip: str, port: int = 7443, chance: random.Random | None = None) -> None:
        self.site, self.vip = site, vip
        self._chance = chance or random.Random()
        text = site.ssh(site.servers[0], f"cat {KUBECONFIG}")
        self.way = Way.from_kubeconfig(text, vip, port)

    def leader(self) -> str:
        """The server whose etcd leads."""
        for host in self.site.servers:
            status = self._status(host)
            if status and status.get("leader") == status["header"]["member_id"]:
                return host.name
        return ""

    def holders(self) -> list[str]:
        """The servers that carry the virtual address; one, when all is well."""
        return [host.name for host in self.site.servers if self._says(host, f"ip -4 -o addr show to {self.vip}")]

    def target(self, role: str) -> Host:
        """A server that is that just now."""
        names = [host.name for host in self.site.servers]
        leader = self.leader()
        choices = {
            "leader": [leader],
            "follower": [name for name in names if name != leader],
            "vip": self.holders(),
            "any": names,
        }
        return self.site.host(self._chance.choice(choices[role]))

    def well(self) -> bool:
        """Whether all servers and all etcd members are ready, and one holds the address.

        The servers are asked from here first: programs started on them again and again, while one of them boots on the
        processors that all share, would cost more than what is measured.
        """
        if not all(self._serves(host) for host in self.site.servers):
            return False
        return all(self._status(host).get("leader") for host in self.site.servers) and len(self.holders()) == 1

    def wait_well(self, seconds: float = RECOVERY_SECONDS) -> float:
        """Return how long it took until all was well again."""
        started = time.monotonic()
        wait_until("the site is well again", self.well, seconds, self.words)
        return time.monotonic() - started

    def words(self) -> str:
        """What the servers say of themselves, for a message."""
        command = (
            "hostname; systemctl is-active etcd k3s haproxy keepalived; ip -4 -o addr show to " + self.vip + "; "
            "journalctl --no-pager -o short-iso -n 8 -u etcd -u k3s -u haproxy -u keepalived"
        )
        return "\n".join(self._says(host, command) for host in self.site.servers)

    def try_fault(self, role: str, fault: str, lasting: float | None = None) -> Seen:
        """Break one server under load, heal it, wait for all to be well, and judge what the clients saw."""
        host = self.target(role)
        before, held = self.leader(), host.name in self.holders()
        probe = Probe(self.way)
        with loaded(self.way, f"matrix-{role}-{fault}-{self._chance.randrange(10**9)}") as load:
            probe.start()
            try:
                time.sleep(WARM_SECONDS)
                since, wall = time.monotonic(), time.time()
                inflict(self.site.host_set.name, host.name, fault, {})
                time.sleep(LASTING[fault] if lasting is None else lasting)
                after = self.leader()
                broken = time.monotonic()
                if fault != "reboot":
                    heal(self.site.host_set.name, host.name)
                recovered = self.wait_well()
                until = time.monotonic()
            finally:
                probe.stop()
        verdict = judge(load.history, load.final())
        vip_gap, vip_gap_began = longest_silence(probe.answered, since, until)
        return Seen(
            role=role,
            fault=fault,
            host=host.name,
            leader_before=before,
            leader_after=after,
            write_gap=longest_gap(acknowledged(load.history), since, until),
            election=self._election(wall, broken - since),
            held_vip=held,
            vip_gap=vip_gap,
            vip_gap_began=vip_gap_began,
            recovered=recovered,
            verdict=verdict,
        )

    def all_down_and_up(self) -> float:
        """Take the power of all servers away at once and give it back; return when a write works by the address."""
        self._everywhere(lambda host: inflict(self.site.host_set.name, host.name, "kill", {}))
        started = time.monotonic()
        self._everywhere(lambda host: heal(self.site.host_set.name, host.name))
        with loaded(self.way, f"matrix-all-{self._chance.randrange(10**9)}") as load:
            wait_until("a write is acknowledged", lambda: bool(acknowledged(load.history)), 180, self.words)
            return time.monotonic() - started

    def _everywhere(self, work: Callable[[Host], object]) -> None:
        with ThreadPoolExecutor(max_workers=len(self.site.servers)) as pool:
            list(pool.map(work, self.site.servers))

    def _election(self, wall: float, lasted: float) -> float:
        """How long after the fault the survivors' etcd elected; 0 without an election."""
        window = f"--since=@{wall:.3f} --until=@{wall + lasted:.3f}"
        command = f"journalctl --no-pager -o short-unix -u etcd {window} | grep -E 'elected leader [0-9a-f]+ at term'"
        moments = []
        for host in self.site.servers:
            for line in self._says(host, command).splitlines():
                moments.append(float(line.split()[0]) - wall)
        return max(0.0, min(moments)) if moments else 0.0

    def _serves(self, host: Host) -> bool:
        client = Client(replace(self.way, address=host.address, port=SERVER_PORT), ANSWER_SECONDS)
        try:
            return client.ask("GET", "/readyz")[0] == 200
        except NoAnswerError:
            return False
        finally:
            client.hang_up()

    def _status(self, host: Host) -> dict[str, Any]:
        said = self._says(host, f"{ETCDCTL} --endpoints=https://127.0.0.1:2379 endpoint status")
        if not said:
            return {}
        status: dict[str, Any] = json.loads(said)[0]["Status"]
        return status

    def _says(self, host: Host, command: str) -> str:
        """What a command prints there; nothing when the host is silent or the command fails."""
        try:
            done = run(self.site.host_set, host, f"timeout 5 bash -c {_quoted(command)}", timeout_seconds=8)
        except (OSError, subprocess.SubprocessError):
            return ""
        return done.stdout if done.returncode == 0 or "journalctl" in command else ""


def _quoted(command: str) -> str:
    return "'" + command.replace("'", "'\\''") + "'"
