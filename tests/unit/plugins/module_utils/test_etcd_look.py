# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a node and its members tell is read as it was meant."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from ansible_collections.holdfast.edge.plugins.module_utils._etcd.cluster import (
    Cluster,
    decimal,
    hexadecimal,
    peer_url,
    problems,
    read_members,
    with_status,
)
from ansible_collections.holdfast.edge.plugins.module_utils._etcd.disk import measure, summary
from ansible_collections.holdfast.edge.plugins.module_utils._etcd.look import (
    Wanted,
    config_digest,
    look_at_node,
    parse_unit,
    unlinked,
)

ANSWER = {
    "members": [
        {"ID": "255", "name": "a", "peerURLs": ["https://10.0.0.1:2380"], "clientURLs": ["https://10.0.0.1:2379"]},
        {"ID": "16", "peerURLs": ["https://10.0.0.2:2380"], "isLearner": True},
    ]
}
RUNS = "LoadState=loaded\nActiveState=active\nSubState=running\nUnitFileState=enabled\nMainPID=42\n"
WANTED = Wanted(name="a", members={"a": "10.0.0.1", "b": "10.0.0.2", "c": "10.0.0.3"})


def test_identities_are_those_that_the_tools_of_etcd_print() -> None:
    assert hexadecimal("255") == "ff"
    assert decimal("ff") == "255"


def test_members_are_read_from_the_answer() -> None:
    first, second = read_members(ANSWER)
    assert (first.id, first.name, first.started, first.learner) == ("ff", "a", True, False)
    assert (second.started, second.learner, second.label) == (False, True, "10.0.0.2")


def test_a_member_says_itself_how_it_is() -> None:
    first = read_members(ANSWER)[0]
    status = {"header": {"member_id": "255"}, "leader": "255", "version": "3.6.14", "dbSize": "100", "raftIndex": "7"}
    told = with_status(first, status, "")
    assert (told.healthy, told.leader, told.version, told.db_size, told.raft_index) == (True, True, "3.6.14", 100, 7)
    assert with_status(first, status, "RAFT NO LEADER").healthy is False
    stranger = with_status(first, {"header": {"member_id": "1"}}, "")
    assert stranger.reason == "another member (1) answers at its address"


def test_what_is_wrong_with_a_cluster_is_told_with_the_remedy() -> None:
    told = " ".join(problems(Cluster("c", "u", read_members(ANSWER), (("a", "NOSPACE"),)), {"b": "10.0.0.2"}))
    assert "0 of 1 members are healthy and 1 are needed" in told
    assert "10.0.0.2 still learns" in told
    assert "a is a member and not in the inventory" in told
    assert "a: alarm NOSPACE: its data has reached the quota" in told


def test_a_unit_is_read_from_what_systemd_prints() -> None:
    unit = parse_unit(RUNS)
    assert (unit.exists, unit.runs, unit.enabled, unit.pid) == (True, True, True, 42)
    assert parse_unit("").runs is False


def test_addresses_of_both_kinds_make_urls() -> None:
    assert peer_url("10.0.0.1") == "https://10.0.0.1:2380"
    assert peer_url("fd00::1") == "https://[fd00::1]:2380"


def test_lines_of_a_first_start_do_not_count(tmp_path: Path) -> None:
    path = tmp_path / "etcd.yml"
    path.write_text("name: a\ninitial-cluster: x\ninitial-cluster-state: new\n", encoding="utf-8")
    assert config_digest(path) == hashlib.sha256(b"name: a\n").hexdigest()
    assert config_digest(tmp_path / "none") == ""


def test_a_blank_node_is_blank(tmp_path: Path) -> None:
    found = look_at_node(WANTED, lambda _: "", tmp_path)
    assert (found.state, found.installed, found.cluster, found.faults, found.problems) == ("blank", "", None, [], [])
    assert found.certificates["server"]["reason"] == "it is missing"


def test_a_tool_that_leads_elsewhere_is_told(tmp_path: Path) -> None:
    tools = tmp_path / "usr/local/bin"
    tools.mkdir(parents=True)
    (tools / "etcdctl").symlink_to("/usr/local/lib/holdfast/etcd/current/etcdctl")
    (tools / "etcdutl").symlink_to("/nowhere")
    assert unlinked(tmp_path) == ["/usr/local/bin/etcdutl"]


def test_data_that_nobody_wrote_down_are_refused(tmp_path: Path) -> None:
    (tmp_path / "var/lib/etcd/member").mkdir(parents=True)
    found = look_at_node(WANTED, lambda _: "", tmp_path)
    assert found.state == "stopped"
    assert "holds data that this role did not make" in found.faults[0]
    settings = tmp_path / "etc/holdfast/etcd"
    settings.mkdir(parents=True)
    (settings / "facts.json").write_text(json.dumps({"token": "t"}), encoding="utf-8")
    assert look_at_node(WANTED, lambda _: "", tmp_path).faults == []


def test_an_etcd_of_somebody_else_is_refused(tmp_path: Path) -> None:
    assert "that this role did not start" in look_at_node(WANTED, lambda _: RUNS, tmp_path).faults[0]


def test_a_process_that_was_started_with_other_files_must_be_restarted(tmp_path: Path) -> None:
    settings, started, units = (
        tmp_path / path for path in ("etc/holdfast/etcd", "run/holdfast-etcd", "etc/systemd/system")
    )
    for folder in (settings, started, units, tmp_path / "var/lib/etcd/member"):
        folder.mkdir(parents=True)
    for path in (settings / "etcd.yml", started / "etcd.yml", units / "etcd.service", started / "etcd.service"):
        path.write_text("same\n", encoding="utf-8")

    def why() -> str:
        return look_at_node(WANTED, lambda _: RUNS, tmp_path).restart

    assert why() == ""
    (units / "etcd.service").write_text("newer\n", encoding="utf-8")
    assert why() == "it was started by an older unit"
    (settings / "etcd.yml").write_text("newer\n", encoding="utf-8")
    assert why() == "it runs with an older configuration"


def test_the_slowest_of_a_hundred_is_told_apart_from_the_rest() -> None:
    speed = summary([1.0] * 98 + [5.0, 50.0])
    assert (speed.p50, speed.p99, speed.worst, speed.writes) == (1.0, 50.0, 50.0, 100)


def test_a_disk_is_measured_and_nothing_is_left(tmp_path: Path) -> None:
    assert measure(tmp_path, 0.05).writes >= 1
    assert list(tmp_path.iterdir()) == []
