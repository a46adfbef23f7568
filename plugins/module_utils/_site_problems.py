# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with a site as its inventory describes it, before any machine is asked."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

NODE_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")
LEAST_SERVERS = 3


@dataclass(frozen=True)
class SiteAsWritten:
    """The groups of an inventory, the address of each node, and the virtual address ("" for none)."""

    edge: Sequence[str]
    servers: Sequence[str]
    workers: Sequence[str]
    members: Sequence[str]
    addresses: Mapping[str, str]
    vip: str = ""


def problems(site: SiteAsWritten) -> list[str]:
    """Every fault as a sentence with what to do about it; none for a site that can be built."""
    return [
        *_counts(site),
        *_places(site),
        *_names(site),
        *_addresses(site),
        *_vip(site),
    ]


def _counts(site: SiteAsWritten) -> Iterator[str]:
    servers, members = len(site.servers), len(site.members)
    if servers < LEAST_SERVERS:
        yield (
            f"the group servers has {servers} of the {LEAST_SERVERS} hosts that a site needs to outlive one of them; "
            "add hosts to it"
        )
    if members % 2 == 0 and members:
        yield (
            f"the datastore would have {members} members ({', '.join(sorted(site.members))}), and an even number "
            "survives no more losses than one less; name 3 or 5 hosts in the group etcd (without it: all servers)"
        )
    elif members < LEAST_SERVERS <= servers:
        yield f"the group etcd has {members} of the {LEAST_SERVERS} members that a datastore needs; name 3 or 5 hosts"


def _places(site: SiteAsWritten) -> Iterator[str]:
    for name in sorted(set(site.servers) & set(site.workers)):
        yield f"{name} is in the group servers and in workers; servers take work too, so leave it in servers only"
    for name in sorted(set(site.edge) - set(site.servers) - set(site.workers) - set(site.members)):
        yield f"{name} is in the group edge and has no part in the site; put it in servers or workers"
    for name in sorted(set(site.members) - set(site.edge)):
        yield f"{name} is in the group etcd and not in edge; put it in edge too, or nothing prepares it"


def _names(site: SiteAsWritten) -> Iterator[str]:
    for name in sorted(site.edge):
        if not NODE_NAME.fullmatch(name):
            yield (
                f"{name} cannot be a node's name: Kubernetes takes lower case letters, digits, dots and dashes; "
                "rename it in the inventory"
            )


def _addresses(site: SiteAsWritten) -> Iterator[str]:
    holders: dict[str, list[str]] = {}
    for name in sorted(site.edge):
        holders.setdefault(site.addresses.get(name, name), []).append(name)
    for address, names in sorted(holders.items()):
        if len(names) > 1:
            yield f"{' and '.join(names)} have the same address {address}; give each its own"
    for name, address in sorted(site.addresses.items()):
        if not _is_ipv4(address):
            yield (
                f"{name} is to be reached at {address!r}, which is no IPv4 address, and etcd, k3s and the balancers "
                "want one; set node_address to the one that it has on the site's network"
            )


def _vip(site: SiteAsWritten) -> Iterator[str]:
    if not site.vip:
        return
    if not _is_ipv4(site.vip):
        yield f"site_vip is {site.vip!r}, which is no IPv4 address; give a free address of the site's network"
        return
    for name in sorted(site.edge):
        if site.addresses.get(name) == site.vip:
            yield f"site_vip {site.vip} is the address of {name}; give a free address of the site's network"


def _is_ipv4(text: str) -> bool:
    try:
        ipaddress.IPv4Address(text)
    except ValueError:
        return False
    return True
