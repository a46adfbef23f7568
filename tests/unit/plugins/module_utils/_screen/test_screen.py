# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The screen: what it shows of living and dead nodes, and what it says is wrong."""

from __future__ import annotations

from typing import Any

from ansible_collections.holdfast.edge.plugins.module_utils._screen.screen import draw
from ansible_collections.holdfast.edge.plugins.module_utils._screen.wrong import Limits

NOW = 1795270800.0  # 2026-11-21 14:20 UTC
VIP = "10.0.0.10"


def member(name: str, **more: Any) -> dict[str, Any]:
    facts = {"name": name, "id": "abc", "healthy": True, "reason": "", "learner": False, "leader": False}
    return {**facts, "version": "3.6.14", "db_size": 3 * 1024 * 1024, **more}


def node(name: str, **more: Any) -> dict[str, Any]:
    cluster = {"members": [member("a", leader=True), member("b"), member("c")], "has_quorum": True, "alarms": []}
    return {
        "name": name,
        "address": f"10.0.0.{ord(name)}",
        "server": True,
        "member": True,
        "reached": True,
        "said": "",
        "k3s": {
            "blank": False,
            "running": "1.36.4+k3s1",
            "ready": True,
            "problems": [],
            "certificates": [{"days_left": 364, "authority": False}, {"days_left": 3, "authority": True}],
        },
        "etcd": {"state": "running", "problems": [], "cluster": cluster, "certificates": {"peer": {"days_left": 200}}},
        "balancer": {"holds_vip": name == "a", "serving": True},
        "backup": {
            "configured": True,
            "waiting": [],
            "backups": [{"name": "one", "created": "2026-11-21T12:20:00Z", "sent": "https://s3"}],
        },
        **more,
    }


def shown(*nodes: dict[str, Any], vip: str = VIP, limits: Limits | None = None) -> tuple[str, list[str]]:
    screen = draw(nodes, "shop7", vip, NOW, limits or Limits())
    return "\n".join(screen.lines), screen.wrong


def test_a_site_that_is_well_fits_on_a_screen_and_has_nothing_wrong() -> None:
    text, wrong = shown(node("a"), node("b"), node("c"))
    assert wrong == []
    assert "Site shop7 at 2026-11-21 14:20 UTC: 3 of 3 nodes Ready, all is well" in text
    assert "leader" in text
    assert "200 days" in text
    assert "VIP      10.0.0.10 at a; balancers serve on a, b, c" in text
    assert "newest 2 h old (one on a), 3 kept, 3 sent" in text
    assert len(text.splitlines()) <= 24
    assert max(map(len, text.splitlines())) <= 120


def test_a_dead_node_is_listed_as_such_with_what_to_type() -> None:
    sick = {"members": [member("a", healthy=False, reason="timed out"), member("b", leader=True), member("c")]}
    cluster = {**sick, "has_quorum": True, "alarms": []}
    dead = {"name": "a", "address": "10.0.0.97", "server": True, "member": True, "reached": False, "said": "timed out"}
    living = [node(name, etcd={"state": "running", "cluster": cluster, "problems": []}) for name in "bc"]
    text, wrong = shown(dead, *living)
    assert "no answer" in text
    assert "DOWN" in text
    assert "2 of 3 nodes Ready" in text
    assert any("a: does not answer" in one and "node_remove.yml -e node=a" in one for one in wrong)
    assert any("etcd: the member a is not healthy (timed out)" in one for one in wrong)


def test_all_nodes_dead_is_a_screen_too() -> None:
    dead = [{**node(name), "reached": False, "k3s": {}, "etcd": {}, "balancer": {}, "backup": {}} for name in "abc"]
    text, wrong = shown(*dead)
    assert text.count("no answer") >= 3
    assert len(wrong) >= 3


def test_no_quorum_says_so_first() -> None:
    lost = {
        "members": [member("a"), member("b", healthy=False), member("c", healthy=False)],
        "has_quorum": False,
        "alarms": [],
    }
    _lines, wrong = shown(node("a", etcd={"state": "running", "cluster": lost, "problems": []}))
    assert wrong[0].startswith("etcd: too few members answer for a quorum")
    assert "recover_quorum.yml" in wrong[0]


def test_two_holders_of_the_address_are_wrong_and_none_too() -> None:
    both = [node(name, balancer={"holds_vip": True, "serving": True}) for name in "ab"]
    assert any("both hold 10.0.0.10" in one for one in shown(*both)[1])
    none = [node(name, balancer={"holds_vip": False, "serving": True}) for name in "ab"]
    assert any("nobody holds 10.0.0.10" in one for one in shown(*none)[1])
    assert not any("10.0.0.10" in one for one in shown(*none, vip="")[1])


def test_what_the_nodes_themselves_find_is_said_once_each() -> None:
    told = node("a")
    told["k3s"] = {**told["k3s"], "problems": ["k3s does not run; see the journal"]}
    _lines, wrong = shown(told, node("b"), node("c"))
    assert wrong == ["a: k3s does not run; see the journal"]


def test_a_site_that_makes_no_backups_is_told_apart_from_one_that_has_none_yet_and_from_silence() -> None:
    def line(**backup: object) -> str:
        return next(line for line in shown(node("a", backup=backup))[0].splitlines() if line.startswith("BACKUPS"))

    assert "none will be made" in line(configured=False, backups=[])
    assert line(configured=True, backups=[]) == "BACKUPS  none on the nodes that answer"
    assert line() == "BACKUPS  none on the nodes that answer"


def test_certificates_and_backups_have_limits() -> None:
    old = [{"name": "one", "created": "2026-11-18T12:20:00Z", "sent": ""}]
    told = node("a", backup={"configured": True, "waiting": ["one"], "backups": old})
    told["k3s"]["certificates"] = [{"days_left": 9, "authority": False}]
    _lines, wrong = shown(told)
    assert any("a certificate ends in 9 days" in one for one in wrong)
    assert any("the newest is 74 h old" in one for one in wrong)
    assert any("1 are not sent" in one for one in wrong)


def test_a_member_of_no_inventory_is_named_with_the_way_to_take_it_out() -> None:
    view = {"members": [member("a"), member("gone", healthy=False)], "has_quorum": True, "alarms": []}
    _lines, wrong = shown(node("a", etcd={"state": "running", "cluster": view, "problems": []}))
    assert any("the member gone is in no inventory" in one and "-e node=gone -e confirm=gone" in one for one in wrong)


def test_a_blank_node_is_one_sentence() -> None:
    _lines, wrong = shown(
        node("a"), node("b", k3s={"blank": True}, etcd={"state": "blank", "problems": ["x"]}, balancer={})
    )
    assert [one for one in wrong if one.startswith("b:")] == [
        "b: is blank. ansible-playbook -i <inventory> site.yml makes it a node"
    ]
