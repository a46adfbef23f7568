# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Routes of the pods' networks are ours, and wider ones are not."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from ansible_collections.holdfast.edge.plugins.module_utils._reset.network import Network, pod_networks
from ansible_collections.holdfast.edge.plugins.module_utils._reset.system import Answer, System

TOLD = {
    "link": [
        {"ifname": "lo"},
        {"ifname": "cni0"},
        {"ifname": "veth1", "master": "cni0"},
        {"ifname": "veth2", "master": "br0"},
    ],
    "netns": [{"name": "cni-1"}, {"name": "mine"}],
    "route": [
        {"dst": "default", "gateway": "10.0.0.1"},
        {"dst": "10.42.1.0/24", "gateway": "10.0.0.2"},
        {"dst": "10.42.2.0/24", "dev": "cni0"},
        {"dst": "10.0.0.0/8", "gateway": "10.0.0.3"},
    ],
    "address": [
        {
            "ifname": "eth0",
            "addr_info": [{"local": "10.0.0.10", "prefixlen": 32}, {"local": "10.0.0.2", "prefixlen": 24}],
        }
    ],
}


class Told(System):
    """A node of which `ip` tells the above."""

    def run(self, command: Sequence[str], seconds: float = 30.0, given: str | None = None) -> Answer:
        subject = next(word for word in command if word in TOLD)
        return Answer(0, json.dumps(TOLD[subject]), "")


def test_only_what_a_cluster_made_is_told(tmp_path: Path) -> None:
    assert Network(Told(tmp_path), ["10.0.0.10"]).look() == [
        "netns cni-1",
        "link veth1",
        "link cni0",
        "route 10.42.1.0/24 via 10.0.0.2",
        "address 10.0.0.10/32 dev eth0",
    ]


def test_the_network_of_pods_is_read_from_where_it_was_set() -> None:
    networks = pod_networks(["FLANNEL_NETWORK=10.50.0.0/16\n", "cluster-cidr: 10.60.0.0/16\n"])
    assert [str(network) for network in networks] == ["10.42.0.0/16", "10.50.0.0/16", "10.60.0.0/16"]
