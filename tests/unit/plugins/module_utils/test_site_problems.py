# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A site that cannot be built is refused by its inventory alone, all faults at once, each with a remedy."""

from __future__ import annotations

from dataclasses import replace

import pytest
from ansible_collections.holdfast.edge.plugins.module_utils._site_problems import SiteAsWritten, problems

NAMES = ("server1", "server2", "server3")
GOOD = SiteAsWritten(
    edge=NAMES,
    servers=NAMES,
    workers=(),
    members=NAMES,
    addresses={name: f"192.0.2.{number}" for number, name in enumerate(NAMES, 11)},
    vip="192.0.2.10",
)


def test_a_site_of_three_servers_is_fine_with_and_without_a_virtual_address() -> None:
    assert problems(GOOD) == []
    assert problems(replace(GOOD, vip="")) == []


@pytest.mark.parametrize(
    ("site", "expected"),
    [
        (replace(GOOD, servers=NAMES[:2], members=NAMES), "the group servers has 2 of the 3 hosts"),
        (replace(GOOD, members=NAMES[:2]), "an even number survives no more losses than one less"),
        (replace(GOOD, members=NAMES[:1]), "the group etcd has 1 of the 3 members"),
        (replace(GOOD, workers=NAMES[2:]), "server3 is in the group servers and in workers"),
        (replace(GOOD, edge=(*NAMES, "spare")), "spare is in the group edge and has no part in the site"),
        (replace(GOOD, members=(*NAMES[:2], "far")), "far is in the group etcd and not in edge"),
        (replace(GOOD, addresses=dict.fromkeys(NAMES, "192.0.2.11")), "have the same address 192.0.2.11"),
        (replace(GOOD, addresses={**GOOD.addresses, "server2": "edge-2.shop"}), "set node_address"),
        (replace(GOOD, vip="192.0.2.12"), "site_vip 192.0.2.12 is the address of server2"),
        (replace(GOOD, vip="soon"), "site_vip is 'soon', which is no IPv4 address"),
        (replace(GOOD, vip="2001:db8::10"), "which is no IPv4 address"),
    ],
)
def test_a_fault_is_told_with_its_remedy(site: SiteAsWritten, expected: str) -> None:
    found = problems(site)
    assert [problem for problem in found if expected in problem], found


def test_a_name_that_kubernetes_refuses_is_refused_first() -> None:
    names = ("Server_1", "server2", "server3")
    found = problems(replace(GOOD, edge=names, servers=names, members=names))
    assert found == [
        "Server_1 cannot be a node's name: Kubernetes takes lower case letters, digits, dots and dashes; "
        "rename it in the inventory"
    ]


def test_all_faults_are_told_at_once() -> None:
    one = ("server1",)
    assert len(problems(replace(GOOD, edge=NAMES, servers=one, members=one, vip="192.0.2.11"))) >= 4
