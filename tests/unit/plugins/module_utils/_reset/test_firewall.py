# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Chains and rules of ours are told from those of others."""

from __future__ import annotations

from ansible_collections.holdfast.edge.plugins.module_utils._reset.firewall import is_empty, ours_in, without_ours

SAVED = """*filter
:INPUT ACCEPT [0:0]
:KUBE-SERVICES - [0:0]
:CNI-FORWARD - [0:0]
:MINE - [0:0]
-A INPUT -j KUBE-SERVICES
-A INPUT -p tcp --dport 9 -j DROP
-A MINE -m comment --comment "about kubernetes" -j ACCEPT
-A FORWARD -m comment --comment "flanneld forward" -j FLANNEL-FWD
COMMIT
"""


def test_only_ours_are_taken_out() -> None:
    assert len(ours_in(SAVED)) == 4
    left = without_ours(SAVED)
    assert "KUBE-" not in left
    assert "FLANNEL" not in left
    assert "-A INPUT -p tcp --dport 9 -j DROP" in left
    assert '-A MINE -m comment --comment "about kubernetes" -j ACCEPT' in left
    assert left.startswith("*filter\n")
    assert left.endswith("COMMIT\n")


def test_a_firewall_without_ours_stays_as_it_is() -> None:
    other = "*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -j DOCKER\nCOMMIT\n"
    assert ours_in(other) == []
    assert without_ours(other) == other


def test_a_table_is_empty_with_open_base_chains_only() -> None:
    table = {"table": {"name": "filter"}}
    assert is_empty([{"metainfo": {}}, table, {"chain": {"name": "INPUT", "policy": "accept"}}])
    assert not is_empty([table, {"chain": {"name": "INPUT", "policy": "drop"}}])
    assert not is_empty([table, {"chain": {"name": "MINE"}}])
    assert not is_empty([table, {"rule": {}}])
