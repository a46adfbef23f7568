# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Choosing a network that nothing on this machine uses, and the hosts' addresses in it."""

from __future__ import annotations

import ipaddress
import json
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Any

from .model import HostsError

POOL = IPv4Network("10.77.0.0/16")
FIRST_ADDRESS = 11
"""The last number of the first host where the network has room: what lies below is free for virtual addresses."""


@dataclass(frozen=True)
class UsedNetwork:
    """A network that something on this machine uses already."""

    network: IPv4Network
    user: str


def parse(text: str) -> IPv4Network:
    """Read a network from the command line, or say what is wrong with it."""
    try:
        network = IPv4Network(text)
    except ValueError as error:
        raise HostsError(f"{text} is not an IPv4 network: {error}. Write one such as 10.77.0.0/24.") from error
    if not network.is_private or network.is_loopback or network.is_link_local:
        raise HostsError(
            f"{network} is not a private network. Take one in 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16."
        )
    if not 16 <= network.prefixlen <= 29:
        raise HostsError(f"{network} is too large or too small for hosts. Take a prefix from /16 to /29.")
    return network


def choose(wanted: str | None, used: Iterable[UsedNetwork], count: int) -> IPv4Network:
    """Return the wanted network if it is free, or the first free one of the pool."""
    taken = list(used)
    if wanted is not None:
        network = parse(wanted)
        addresses(network, count)
        for other in taken:
            if network.overlaps(other.network):
                raise HostsError(
                    f"The network {network} is in use: it overlaps {other.network} of {other.user}. "
                    "Nothing was made. Name another one, or leave --network out and a free one is taken."
                )
        return network
    for network in POOL.subnets(new_prefix=24):
        if not any(network.overlaps(other.network) for other in taken):
            addresses(network, count)
            return network
    raise HostsError(f"Every /24 in {POOL} is in use. Take old sets down, or name a free network with --network.")


def addresses(network: IPv4Network, count: int) -> list[str]:
    """Return the hosts' addresses; the first address of the network is the machine's own."""
    room = network.num_addresses - 3
    if count > room:
        raise HostsError(f"{network} has room for {room} hosts, and {count} were asked for. Take a larger network.")
    first = FIRST_ADDRESS if FIRST_ADDRESS + count <= network.num_addresses - 1 else 2
    return [str(network.network_address + first + index) for index in range(count)]


def used_by_kernel() -> list[UsedNetwork]:
    """Return the networks of every interface and route of this machine."""
    found = []
    for interface in _ip("address"):
        for item in interface.get("addr_info", []):
            if item.get("family") == "inet":
                network = IPv4Network(f"{item['local']}/{item['prefixlen']}", strict=False)
                found.append(UsedNetwork(network, f"the interface {interface['ifname']}"))
    for route in _ip("route"):
        destination = str(route.get("dst", "default"))
        if destination != "default":
            try:
                network = IPv4Network(destination, strict=False)
            except ipaddress.AddressValueError:
                continue
            found.append(UsedNetwork(network, f"a route by {route.get('dev', 'another way')}"))
    return found


def _ip(what: str) -> list[dict[str, Any]]:
    done = subprocess.run(["ip", "-json", "-4", what, "show"], capture_output=True, text=True, check=True)
    listed = json.loads(done.stdout or "[]")
    return [item for item in listed if isinstance(item, dict) and item]
