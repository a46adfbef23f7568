# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nothing is taken from a cluster that it cannot do without."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.holdfast.edge.plugins.module_utils._etcd.change import Datastore, Wish
from ansible_collections.holdfast.edge.plugins.module_utils._etcd.cluster import Cluster, Member
from ansible_collections.holdfast.edge.plugins.module_utils._etcd.errors import EtcdError

MEMBERS = {"a": "10.0.0.1", "b": "10.0.0.2", "c": "10.0.0.3"}


def member(who: str, leader: str = "a", **other: Any) -> Member:
    address = MEMBERS.get(who, "10.0.0.9")
    plain = Member(
        id=f"{ord(who):x}",
        name=who,
        peer_urls=(f"https://{address}:2380",),
        client_urls=(f"https://{address}:2379",),
        learner=False,
        healthy=True,
        leader=who == leader,
        version="3.6.14",
        raft_index=ord(who),
        db_size=100,
        db_size_in_use=20,
    )
    return replace(plain, **other)


def cluster(*members: Member, alarms: tuple[tuple[str, str], ...] = ()) -> Cluster:
    return Cluster("c1", "https://10.0.0.2:2379", members or tuple(member(name) for name in MEMBERS), alarms)


SICK: dict[str, Any] = {"healthy": False, "reason": "no answer"}


class Fake(Datastore):
    """Answers are taken one after the other, the last one for ever; what it is asked to do is noted."""

    def __init__(self, wish: Wish, *seen: Cluster | None, check_mode: bool = False) -> None:
        left = list(seen)
        self.asked: list[tuple[str, str, dict[str, Any]]] = []
        self.time = 0.0
        super().__init__(
            wish, check_mode, lambda: left.pop(0) if len(left) > 1 else left[0], self._pass, lambda: self.time
        )

    def _pass(self, seconds: float) -> None:
        self.time += seconds

    def _ask(self, url: str, path: str, body: Any, seconds: float = 10.0) -> dict[str, Any]:
        self.asked.append((url, path, dict(body)))
        return {}

    def _with_journal(self, what: str) -> str:
        return what


def wish(name: str = "a", **other: Any) -> Wish:
    return replace(Wish(name=name, members=MEMBERS, wait_seconds=5.0), **other)


def refused(change: Callable[[], dict[str, Any]]) -> str:
    with pytest.raises(EtcdError) as error:
        change()
    return str(error.value)


def test_a_whole_cluster_is_healthy_and_one_with_a_sick_member_is_waited_for() -> None:
    sick = cluster(member("a"), member("b", **SICK), member("c"))
    assert Fake(wish(), sick, None, cluster()).healthy()["leader"] == "a"
    assert "b: no answer" in refused(Fake(wish(), sick).healthy)


def test_a_member_that_runs_another_version_is_not_yet_what_is_wanted() -> None:
    assert "a runs 3.6.14 and not 3.6.20" in refused(Fake(wish(version="3.6.20"), cluster()).healthy)


def test_serving_asks_this_member_only() -> None:
    others_sick = cluster(member("a"), member("b", **SICK), member("c"))
    assert Fake(wish(), others_sick).serving()["cluster"] == "c1"
    assert "no answer" in refused(Fake(wish("b"), others_sick).serving)


def test_the_leadership_goes_to_the_most_advanced_other_before_a_restart() -> None:
    fake = Fake(wish(), cluster(), cluster(*(member(name, leader="c") for name in MEMBERS)))
    assert fake.released() == {"changed": True, "leader": "c"}
    assert fake.asked == [("https://10.0.0.1:2379", "/v3/maintenance/transfer-leadership", {"targetID": str(ord("c"))})]


def test_a_follower_is_released_without_a_change() -> None:
    fake = Fake(wish("b"), cluster())
    assert (fake.released()["changed"], fake.asked) == (False, [])


@pytest.mark.parametrize("change", ["released", "spared", "defragmented"])
def test_no_member_is_touched_while_another_is_sick(change: str) -> None:
    fake = Fake(wish(), cluster(member("a"), member("b", version="", **SICK), member("c")))
    assert "b: no answer" in refused(getattr(fake, change))
    assert fake.asked == []


def test_a_sick_member_itself_may_be_repaired() -> None:
    sick = cluster(member("a", leader="c", **SICK), member("b", leader="c"), member("c", leader="c"))
    assert Fake(wish(), sick).released() == {"changed": False, "leader": "c"}


def test_a_learner_or_an_alarm_stops_a_change() -> None:
    learner = cluster(*(member(name) for name in MEMBERS), member("d", learner=True))
    assert "d still learns" in refused(Fake(wish(), learner).spared)
    assert "b: alarm CORRUPT" in refused(Fake(wish(), cluster(alarms=(("b", "CORRUPT"),))).spared)


def test_a_new_member_is_added_as_a_learner() -> None:
    two = cluster(member("b", "b"), member("c", "b"))
    three = cluster(*two.members, member("a", "b", name="", client_urls=(), learner=True, healthy=False))
    fake = Fake(wish(), two, three)
    assert fake.joined() == {
        "changed": True,
        "removed": "",
        "initial_cluster": "a=https://10.0.0.1:2380,b=https://10.0.0.2:2380,c=https://10.0.0.3:2380",
    }
    assert [path for _method, path, _body in fake.asked] == ["/v3/cluster/member/add"]
    assert fake.asked[0][2] == {"peerURLs": ["https://10.0.0.1:2380"], "isLearner": True}


def test_a_member_whose_data_are_gone_is_taken_out_first() -> None:
    fake = Fake(wish(), cluster(member("a", "b", **SICK), member("b", "b"), member("c", "b")))
    assert fake.joined()["removed"] == "61"
    assert [path for _method, path, _body in fake.asked] == ["/v3/cluster/member/remove", "/v3/cluster/member/add"]


class Unsettled(Fake):
    """Refuses changes of its members for so many seconds, as etcd does after one of them came."""

    seconds = 3.0
    said = "etcdserver: unhealthy cluster"

    def _ask(self, url: str, path: str, body: Any, seconds: float = 10.0) -> dict[str, Any]:
        if self.time < self.seconds:
            raise EtcdError(f"{url} refused {path}: {self.said}")
        return super()._ask(url, path, body, seconds)


def test_a_cluster_that_one_has_just_joined_is_asked_again_for_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    two = cluster(member("b", "b"), member("c", "b"))
    fake = Unsettled(wish(), two)
    assert fake.joined()["changed"]
    assert [path for _method, path, _body in fake.asked] == ["/v3/cluster/member/add"]
    monkeypatch.setattr(Unsettled, "seconds", 30.0)
    assert "unhealthy cluster" in refused(Unsettled(wish(), two).joined)
    monkeypatch.setattr(Unsettled, "said", "etcdserver: too many learners")
    other = Unsettled(wish(), two)
    assert "too many learners" in refused(other.joined)
    assert other.time == 0


def test_a_member_that_was_expected_already_is_not_added_twice() -> None:
    expected = cluster(member("a", "b", client_urls=(), name="", **SICK), member("b", "b"), member("c", "b"))
    fake = Fake(wish(), expected)
    assert (fake.joined()["changed"], fake.asked) == (False, [])


def test_a_member_is_not_taken_out_where_the_others_are_no_quorum() -> None:
    fake = Fake(wish(), cluster(member("a", "b"), member("b", "b"), member("c", "b", **SICK)))
    told = refused(Fake(wish("b"), cluster(member("a"), member("b"), member("c", **SICK))).absent)
    assert "of the 2 others 1 are healthy and 2 are needed" in told
    assert Fake(wish("c"), cluster(member("a"), member("b"), member("c", **SICK))).absent()["changed"]
    assert fake.asked == []


def test_a_member_that_is_not_there_needs_no_removal() -> None:
    assert Fake(wish("gone"), cluster()).absent() == {"changed": False}


def test_a_vote_is_given_once_the_member_has_learnt() -> None:
    learning = cluster(member("a", "b", learner=True), member("b", "b"), member("c", "b"))
    fake = Fake(wish(), learning, learning, cluster())
    assert fake.promoted() == {"changed": True}
    assert {path for _method, path, _body in fake.asked} == {"/v3/cluster/member/promote"}
    assert "a still learns after 5 s" in refused(Fake(wish(), learning).promoted)


def test_space_is_given_back_only_where_it_is_worth_it() -> None:
    assert Fake(wish(more_than=0.9), cluster()).defragmented()["changed"] is False
    assert Fake(wish(more_than=0.5, least_bytes=1000), cluster()).defragmented()["changed"] is False
    fake = Fake(wish(more_than=0.5), cluster(), cluster(member("a", db_size=20), member("b"), member("c")))
    assert fake.defragmented() == {"changed": True, "size_before": 100, "in_use": 20, "size_after": 20}


def test_a_full_cluster_is_the_one_that_is_defragmented_and_its_alarm_taken_back() -> None:
    full = cluster(*(member(name, **SICK) for name in MEMBERS), alarms=(("a", "NOSPACE"),))
    # However little there is to gain: with the alarm nothing can be changed, a larger quota neither.
    fake = Fake(wish(more_than=0.9), full)
    assert fake.defragmented()["changed"]
    assert fake.asked[1][2] == {"action": "DEACTIVATE", "memberID": str(ord("a")), "alarm": "NOSPACE"}


def test_a_full_cluster_has_a_quorum() -> None:
    """Else it would be told to be recovered from one member, and the others thrown away."""
    assert cluster(*(member(name, healthy=False, reason="ALARM NOSPACE") for name in MEMBERS)).has_quorum
    assert not cluster(*(member(name, **SICK) for name in MEMBERS)).has_quorum


@pytest.mark.parametrize("change", ["released", "joined", "absent", "defragmented"])
def test_check_mode_asks_for_no_change(change: str) -> None:
    gone = cluster(member("a", leader="a"), member("b"), member("c"))
    fake = Fake(wish(more_than=0.5), gone, check_mode=True)
    assert getattr(fake, change)()["changed"]
    assert fake.asked == []
