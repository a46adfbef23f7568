# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The network of a set of virtual machines: a bridge in a network namespace of the set's own.

The namespace keeps the machine's firewall and container engine out of what the hosts say to each other, and whatever
is made in it goes with it. One veth leads out, to the machine itself and no further: a routing rule drops every packet
from it that is not for the machine, also where forwarding is on because a container engine wants it.
"""

from __future__ import annotations

import hashlib
import subprocess
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

from .locks import lock
from .model import Host, HostsError, HostSet

BRIDGE = "bridge"
UPLINK = "uplink"
RULE_PRIORITY = "1077"
"""After the machine's own addresses (0), before its routes (32766)."""


@dataclass(frozen=True)
class VmNetwork:
    """The names of what a set's network is made of; they depend on its folder, so that no two sets share one."""

    namespace: str
    outside: str


def network_of(host_set: HostSet) -> VmNetwork:
    """Return the names for this set; the kernel takes at most 15 letters for an interface."""
    digest = hashlib.sha256(str(host_set.directory.absolute()).encode()).hexdigest()[:10]
    return VmNetwork(namespace=f"holdfast-{digest}", outside=f"hf-{digest}")


def tap_of(host_set: HostSet, host: Host) -> str:
    """Return the host's port on the bridge."""
    return f"tap{host_set.hosts.index(host)}"


def inside(network: VmNetwork, command: list[str]) -> list[str]:
    """Return the command that runs in the set's namespace, and in nothing else that is different."""
    return ["nsenter", f"--net={_path(network)}", "--", *command]


def is_up(host_set: HostSet) -> bool:
    """Return whether the network is there with its way to the machine."""
    network = network_of(host_set)
    return _path(network).exists() and _exists(network.outside)


def make(host_set: HostSet) -> None:
    """Make whatever of the network is not there; safe to repeat, to interrupt, and for two at once."""
    network = network_of(host_set)
    busy = f"Another command has been making the network of {host_set.name} for a minute. Run this again."
    with lock(f"vm-{network.outside}", busy=busy, wait_seconds=60):
        _make(host_set, network)


def _make(host_set: HostSet, network: VmNetwork) -> None:
    if not _path(network).exists():
        _must(["ip", "netns", "add", network.namespace])
    if not _exists(BRIDGE, network):
        _must(_ip(network, "link", "add", BRIDGE, "type", "bridge"))
    # The rule comes before the way out, so that there is no moment at which a packet could leave.
    if not _has_rule(network):
        _must(["ip", "rule", "add", "iif", network.outside, "priority", RULE_PRIORITY, "type", "blackhole"])
    if not _exists(network.outside):
        peer = ["peer", "name", UPLINK, "netns", network.namespace]
        _must(["ip", "link", "add", network.outside, "type", "veth", *peer])
    own = f"{host_set.gateway}/{IPv4Network(host_set.network).prefixlen}"
    # Only the addresses that the set asked for: no automatic IPv6 ones, which would be a second, unasked way in.
    _write(f"/proc/sys/net/ipv6/conf/{network.outside}/disable_ipv6", "1")
    _must(["ip", "address", "replace", own, "dev", network.outside])
    _must(["ip", "link", "set", network.outside, "up"])
    for port in (UPLINK, *(tap_of(host_set, host) for host in host_set.hosts)):
        if not _exists(port, network):
            _must(_ip(network, "tuntap", "add", port, "mode", "tap"))
        _must(_ip(network, "link", "set", port, "master", BRIDGE, "up"))
    _must(_ip(network, "link", "set", "lo", "up"))
    _must(_ip(network, "link", "set", BRIDGE, "up"))


def destroy(host_set: HostSet) -> None:
    """Remove the network and all in it; safe to repeat."""
    network = network_of(host_set)
    # The pair goes at once when either end is deleted; with the namespace alone it would go some time later.
    if _exists(network.outside):
        _must(["ip", "link", "delete", network.outside])
    _remove_rules(network)
    if _path(network).exists():
        _must(["ip", "netns", "delete", network.namespace])


def cut(host_set: HostSet, host: Host) -> None:
    """Lose every packet from and to the host without a word, as a pulled cable does."""
    _must(_ip(network_of(host_set), "link", "set", tap_of(host_set, host), "down"))


def slow(host_set: HostSet, host: Host, rate: str) -> None:
    """Let no more than that rate through, each way."""
    network = network_of(host_set)
    tap = tap_of(host_set, host)
    back = _way_back(tap)
    _remove_limits(network, tap)
    limit = ["rate", rate, "burst", "16kb", "latency", "400ms"]
    _must(_tc(network, "qdisc", "add", "dev", tap, "root", "tbf", *limit))
    # A queue shapes only what goes out of a port; what comes in is led through a second one.
    _must(_ip(network, "link", "add", back, "type", "ifb"))
    _must(_ip(network, "link", "set", back, "up"))
    _must(_tc(network, "qdisc", "add", "dev", back, "root", "tbf", *limit))
    _must(_tc(network, "qdisc", "add", "dev", tap, "handle", "ffff:", "ingress"))
    everything = ["protocol", "all", "u32", "match", "u32", "0", "0"]
    lead = ["action", "mirred", "egress", "redirect", "dev", back]
    _must(_tc(network, "filter", "add", "dev", tap, "parent", "ffff:", *everything, *lead))


def restore(host_set: HostSet, host: Host) -> None:
    """Undo ``cut`` and ``slow``; safe to repeat."""
    network = network_of(host_set)
    tap = tap_of(host_set, host)
    _remove_limits(network, tap)
    _must(_ip(network, "link", "set", tap, "up"))


def _remove_limits(network: VmNetwork, tap: str) -> None:
    for where in (["root"], ["handle", "ffff:", "ingress"]):
        _try(_tc(network, "qdisc", "delete", "dev", tap, *where))
    if _exists(_way_back(tap), network):
        _must(_ip(network, "link", "delete", _way_back(tap)))


def _way_back(tap: str) -> str:
    return tap.replace("tap", "back")


def _has_rule(network: VmNetwork) -> bool:
    command = ["ip", "rule", "show", "priority", RULE_PRIORITY]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    return any(network.outside in line.split() and "blackhole" in line.split() for line in done.stdout.splitlines())


def _remove_rules(network: VmNetwork) -> None:
    while _try(["ip", "rule", "delete", "iif", network.outside, "priority", RULE_PRIORITY]):
        continue


def _path(network: VmNetwork) -> Path:
    return Path("/run/netns") / network.namespace


def _exists(link: str, network: VmNetwork | None = None) -> bool:
    return _try(_ip(network, "link", "show", "dev", link) if network else ["ip", "link", "show", "dev", link])


def _ip(network: VmNetwork, *words: str) -> list[str]:
    return ["ip", "-netns", network.namespace, *words]


def _tc(network: VmNetwork, *words: str) -> list[str]:
    return ["tc", "-netns", network.namespace, *words]


def _write(path: str, text: str) -> None:
    # A kernel without IPv6 has no such file, and then nothing to turn off.
    if Path(path).exists():
        Path(path).write_text(text, encoding="ascii")


def _try(command: list[str]) -> bool:
    return subprocess.run(command, check=False, capture_output=True, stdin=subprocess.DEVNULL).returncode == 0


def _must(command: list[str]) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        words = done.stderr.strip().splitlines()
        raise HostsError(
            f"The network of the virtual machines could not be changed: '{' '.join(command)}' said: "
            f"{words[-1] if words else 'nothing'}. The machine's own network is as it was; 'down' removes the set's."
        )
