# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the looks at all members come to."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.holdfast.edge.plugins.module_utils._etcd.site import (
    Question,
    absent_at_first_start,
    conclude,
    step_fault,
)

MEMBERS = {"a": "10.0.0.1", "b": "10.0.0.2", "c": "10.0.0.3"}
BUNDLE = [{"name": "etcd", "arch": "amd64", "version": version} for version in ("3.5.33", "3.6.14", "3.6.9")]


def member(name: str, healthy: bool = True, leader: bool = False, version: str = "3.6.14") -> dict[str, Any]:
    return {
        "name": name,
        "peer_urls": [f"https://{MEMBERS[name]}:2380"],
        "healthy": healthy,
        "leader": leader,
        "version": version,
        "learner": False,
    }


def view(leader: str = "a", sick: str = "", version: str = "3.6.14", identity: str = "c1") -> dict[str, Any]:
    members = [member(name, name != sick, name == leader, version) for name in MEMBERS]
    return {"id": identity, "leader": leader, "has_quorum": True, "members": members}


def look(state: str = "running", **other: Any) -> dict[str, Any]:
    blank = state == "blank"
    version = "" if blank else "3.6.14"
    facts = {} if blank else {"token": "site", "cluster": "c1", "timing": "slow", "fsync_p99_ms": 20.0}
    plain = {
        "state": state,
        "architecture": "amd64",
        "installed": version,
        "previous": "",
        "running": version if state == "running" else "",
        "free_mb": 9000,
        "facts": facts,
        "cluster": None if blank else view(),
        "faults": [],
    }
    return {**plain, **other}


def question(**looks: dict[str, Any]) -> Question:
    return Question(looks=looks, members=MEMBERS, token="site", bundle=BUNDLE)


RUNNING = question(a=look(), b=look(), c=look())
BLANK = question(a=look("blank"), b=look("blank"), c=look("blank"))


def test_three_running_members_have_nothing_to_do() -> None:
    found = conclude(RUNNING)
    assert (found["faults"], found["new"], found["join"], found["start"]) == ([], [], [], [])
    assert found["formed"]
    assert found["versions"] == dict.fromkeys("abc", "3.6.14")


def test_blank_members_begin_together() -> None:
    found = conclude(BLANK)
    assert (found["new"], found["join"], found["formed"], found["faults"]) == (["a", "b", "c"], [], False, [])


def test_a_blank_member_joins_a_cluster_that_there_is() -> None:
    found = conclude(question(a=look("blank"), b=look(), c=look()))
    assert (found["new"], found["join"]) == ([], ["a"])


def test_a_cluster_without_quorum_is_not_begun_anew() -> None:
    found = conclude(question(a=look("blank"), b=look("stopped", cluster=None), c=look("blank")))
    assert (found["new"], found["join"], found["start"]) == ([], ["a", "c"], ["b"])


def test_members_that_wait_for_the_others_do_not_make_a_cluster() -> None:
    waiting = look(facts={"token": "site"}, cluster={**view(leader=""), "has_quorum": False})
    found = conclude(question(a=waiting, b=look("blank"), c=look("blank")))
    assert (found["new"], found["formed"]) == (["b", "c"], False)


def test_data_that_all_have_lost_are_not_silently_begun_anew() -> None:
    lost = {"token": "site", "cluster": "c1"}
    found = conclude(question(a=look("blank", facts=lost), b=look("blank"), c=look("blank")))
    assert "every member has lost its data" in found["faults"][0]


def test_the_sick_come_first_and_the_leader_last() -> None:
    one = look(cluster=view(leader="a", sick="c"))
    assert conclude(question(a=one, b=one, c=one))["order"] == ["c", "b", "a"]


def test_a_first_start_needs_all_members_in_the_run() -> None:
    assert absent_at_first_start(BLANK) == ""
    assert "b, c are not in this run" in absent_at_first_start(question(a=look("blank")))


@pytest.mark.parametrize(("slowest", "timing"), [(9.9, "fast"), (10.0, "slow")])
def test_the_slowest_disk_decides(slowest: float, timing: str) -> None:
    assert conclude(replace(BLANK, disks={"a": 1.0, "b": slowest, "c": 2.0}))["timing"] == timing


def test_the_timing_of_a_cluster_stays_until_somebody_asks() -> None:
    fast_now = {"a": 1.0, "b": 1.0, "c": 1.0}
    assert conclude(replace(RUNNING, disks=fast_now))["timing"] == "slow"
    assert conclude(replace(RUNNING, disks=fast_now, measure=True))["timing"] == "fast"
    assert conclude(replace(RUNNING, timing="fast"))["timing"] == "fast"


def test_unmeasured_disks_give_no_timing() -> None:
    assert conclude(BLANK)["timing"] == ""


@pytest.mark.parametrize(
    ("members", "told"),
    [
        ({"a": "1"}, "etcd would have 1 members, and fewer than 3"),
        ({"a": "1", "b": "2"}, "etcd would have 2 members"),
        ({name: name for name in "abcd"}, "an even number survives no more losses than one less; name 3 or 5 hosts"),
        ({"a": "1", "b": "1", "c": "3"}, "a, b have the same address 1"),
    ],
)
def test_wrong_members_are_refused(members: dict[str, str], told: str) -> None:
    assert told in "; ".join(conclude(replace(BLANK, members=members))["faults"])


def test_the_data_of_another_site_are_refused() -> None:
    foreign = look(facts={"token": "other", "cluster": "c1"})
    assert "its data are those of the cluster other" in conclude(question(a=foreign, b=look(), c=look()))["faults"][0]


def test_two_clusters_are_never_joined() -> None:
    other = look(facts={"token": "site", "cluster": "c2"}, cluster=view(identity="c2"))
    assert (
        "belong to different clusters (a, b in c1; c in c2)"
        in conclude(question(a=look(), b=look(), c=other))["faults"][0]
    )


def test_a_member_does_not_move_by_itself() -> None:
    told = conclude(replace(RUNNING, members={**MEMBERS, "c": "10.0.0.33"}))["faults"]
    assert len(told) == 1
    assert "c is a member at https://10.0.0.3:2380, and the inventory says 10.0.0.33" in told[0]


def test_what_a_look_forbids_is_told_with_the_host() -> None:
    told = conclude(question(a=look("blank", faults=["port 2379 is taken"]), b=look("blank"), c=look("blank")))
    assert told["faults"] == ["a: port 2379 is taken"]


def test_too_little_space_is_refused_before_a_first_start_only() -> None:
    tight = look("blank", free_mb=10)
    assert "10 MiB are free" in conclude(replace(question(a=tight, b=tight, c=tight), free_min_mb=50))["faults"][0]
    assert conclude(replace(RUNNING, free_min_mb=99999))["faults"] == []


def test_the_newest_of_the_bundle_is_wanted_and_what_is_there_without_a_bundle() -> None:
    assert conclude(BLANK)["versions"]["a"] == "3.6.14"
    assert conclude(replace(RUNNING, bundle=[]))["versions"]["a"] == "3.6.14"
    assert "there is no etcd for amd64 in the bundle" in conclude(replace(BLANK, bundle=[]))["faults"][0]


def test_a_version_that_the_bundle_lacks_is_refused() -> None:
    told = conclude(replace(BLANK, version="3.6.20"))["faults"][0]
    assert told == (
        "a: etcd 3.6.20 for amd64 is not in the bundle, which has 3.5.33, 3.6.9, 3.6.14; "
        "choose one of them in etcd_version"
    )


def test_a_downgrade_is_refused_for_the_sake_of_any_member() -> None:
    older = look(installed="3.5.33", running="3.5.33")
    told = conclude(replace(question(a=older), version="3.5.33"))["faults"]
    assert len(told) == 1
    assert "etcd 3.6.14 must not become 3.5.33" in told[0]


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("3.5.33", "3.6.14", ""),
        ("3.6.14", "3.6.9", ""),
        ("3.6.14", "3.6.14", ""),
        ("3.6.14", "3.5.33", "an older minor version cannot read the data"),
        ("3.4.30", "3.6.14", "in one step; go by 3.5.*"),
        ("3.5.10", "3.6.14", "before 3.5.26"),
        ("2.3.8", "3.6.14", "no step leads from one major version to another"),
    ],
)
def test_which_steps_there_are(before: str, after: str, told: str) -> None:
    fault = step_fault(before, after)
    assert told in fault if told else fault == ""
