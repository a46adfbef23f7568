# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes to a running cluster, each behind a gate: nothing is taken away that the others cannot do without."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .client import Client, Credentials
from .cluster import Cluster, Member, client_url, decimal, look, peer_url
from .errors import EtcdError
from .look import SETTINGS, UNIT, run

POLL_SECONDS = 0.25
JOURNAL_LINES = 15
DEFRAGMENT_SECONDS = 600.0
UNSETTLED = "unhealthy cluster"


@dataclass(frozen=True)
class Wish:
    """Which member, of which cluster (name → address), and how long to wait."""

    name: str
    members: Mapping[str, str]
    wait_seconds: float = 60.0
    version: str = ""
    more_than: float = 0.0
    least_bytes: int = 0


class Datastore:
    """The cluster as this node reaches it."""

    def __init__(
        self,
        wish: Wish,
        check_mode: bool = False,
        see: Callable[[], Cluster | None] | None = None,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._wish = wish
        self._check_mode = check_mode
        self._see = see or self._look
        self._sleep = sleep
        self._clock = clock
        self._context: ssl.SSLContext | None = None

    def healthy(self) -> dict[str, Any]:
        """Wait until every member is well, none learns, and this one is among them with the wanted version."""
        cluster = self._wait(self._why_not_whole, "is not whole again" if self._wish.version else "is not whole")
        return {"changed": False, "leader": cluster.leader.label if cluster.leader else "", "cluster": cluster.id}

    def serving(self) -> dict[str, Any]:
        """Wait until this member is well, whatever the others are."""
        cluster = self._wait(self._why_not_serving, "does not serve here")
        return {"changed": False, "leader": cluster.leader.label if cluster.leader else "", "cluster": cluster.id}

    def spared(self) -> dict[str, Any]:
        """Wait until the others can do without this member."""
        self._wait(self._why_needed, f"cannot do without {self._wish.name}, so that was left alone")
        return {"changed": False}

    def released(self) -> dict[str, Any]:
        """Wait until the others can do without this member, and let another one lead."""
        cluster = self._wait(self._why_needed, f"cannot do without {self._wish.name}, so that was left alone")
        leader = cluster.leader
        if not leader or leader.name != self._wish.name:
            return {"changed": False, "leader": leader.label if leader else ""}
        heir = max((member for member in self._others(cluster) if member.healthy), key=lambda member: member.raft_index)
        if not self._check_mode:
            self._ask(leader.client_urls[0], "/v3/maintenance/transfer-leadership", {"targetID": decimal(heir.id)})
            self._wait(self._why_leads, f"did not let {heir.label} lead")
        return {"changed": True, "leader": heir.label}

    def joined(self) -> dict[str, Any]:
        """Have an entry for a member without data: a new one, in place of one whose data are gone."""
        cluster = self._wait(self._why_closed, f"cannot take {self._wish.name} in")
        present = cluster.of(self._wish.name, self._own_peer_url())
        removed = ""
        if present and present.started:
            self._refuse_loss(cluster, present)
            removed = present.id
        added = present is None or bool(removed)
        if self._check_mode:
            return {"changed": added, "removed": removed, "initial_cluster": self._listed(cluster, removed)}
        url = cluster.answered_by
        if removed:
            self._reconfigure(url, "remove", {"ID": decimal(removed)})
        if added:
            # As a learner: it has no vote before it knows what the others know, so a slow or broken one harms nobody.
            self._reconfigure(url, "add", {"peerURLs": [self._own_peer_url()], "isLearner": True})
        found = self._see()
        if found is None:
            raise EtcdError(f"The cluster no longer answers while {self._wish.name} joins it. Run site.yml again.")
        return {"changed": added, "removed": removed, "initial_cluster": self._listed(found, "")}

    def promoted(self) -> dict[str, Any]:
        """Wait until this member has learnt what the others know, and give it a vote."""
        deadline = self._clock() + self._wish.wait_seconds
        said = ""
        while True:
            cluster = self._see()
            own = cluster.of(self._wish.name, self._own_peer_url()) if cluster else None
            if cluster and own and not own.learner and own.started:
                return {"changed": bool(said)}
            if cluster and own and own.learner:
                if self._check_mode:
                    return {"changed": True}
                said = self._promote(cluster, own)
            if self._clock() >= deadline:
                raise EtcdError(
                    self._with_journal(
                        f"{self._wish.name} still learns after {self._wish.wait_seconds:.0f} "
                        f"s: {said or 'it did not start'}"
                    )
                )
            self._sleep(POLL_SECONDS)

    def absent(self) -> dict[str, Any]:
        """Take a member out for good."""
        cluster = self._see()
        if cluster is None:
            raise EtcdError(f"No member answers, so {self._wish.name} was not removed. Bring a quorum back first.")
        present = next((member for member in cluster.members if self._wish.name in (member.name, member.id)), None)
        if present is None:
            return {"changed": False}
        self._refuse_loss(cluster, present)
        if not self._check_mode:
            url = next(member.client_urls[0] for member in cluster.members if member.healthy and member != present)
            self._reconfigure(url, "remove", {"ID": decimal(present.id)})
        return {"changed": True, "removed": present.id}

    def defragmented(self) -> dict[str, Any]:
        """Give unused space of this member back to the file system, where it is worth it."""
        cluster = self._wait(self._why_silent, f"is not whole, so {self._wish.name} was not defragmented")
        own = cluster.of(self._wish.name, self._own_peer_url())
        if own is None:
            raise EtcdError(f"{self._wish.name} is not a member, so it was not defragmented. Run site.yml first.")
        unused = own.db_size - own.db_size_in_use
        sizes = {"size_before": own.db_size, "in_use": own.db_size_in_use}
        full = (own.label, "NOSPACE") in cluster.alarms
        if not full and (own.db_size < self._wish.least_bytes or unused <= self._wish.more_than * own.db_size):
            return {"changed": False, **sizes, "size_after": own.db_size}
        if self._check_mode:
            return {"changed": True, **sizes, "size_after": own.db_size_in_use}
        self._ask(client_url("127.0.0.1"), "/v3/maintenance/defragment", {}, DEFRAGMENT_SECONDS)
        after = self._wait(self._why_silent, "is not whole after a defragmentation")
        now = after.of(self._wish.name, self._own_peer_url())
        if full:
            # Etcd raises it again at the next write, should the space not be enough.
            self._ask(
                client_url("127.0.0.1"),
                "/v3/maintenance/alarm",
                {"action": "DEACTIVATE", "memberID": decimal(own.id), "alarm": "NOSPACE"},
            )
        return {"changed": True, **sizes, "size_after": now.db_size if now else 0}

    def _others(self, cluster: Cluster) -> list[Member]:
        return [member for member in cluster.voters if member.name != self._wish.name]

    def _why_not_serving(self, cluster: Cluster) -> str:
        own = cluster.of(self._wish.name, self._own_peer_url())
        if own is None:
            return f"{self._wish.name} is not a member"
        if self._wish.version and own.version != self._wish.version:
            return (
                f"{self._wish.name} runs {own.version or 'nothing'} and not "
                f"{self._wish.version} ({own.reason or 'it answers'})"
            )
        return "" if own.healthy or (own.learner and not own.reason) else own.reason

    def _why_not_whole(self, cluster: Cluster) -> str:
        own = self._why_not_serving(cluster)
        if own:
            return own
        return self._why_sick(cluster, cluster.members) or ("" if cluster.leader else "no member leads")

    def _why_needed(self, cluster: Cluster) -> str:
        others = self._others(cluster)
        sick = self._why_sick(cluster, [member for member in cluster.members if member.name != self._wish.name])
        if sick:
            return sick
        if cluster.leader is None:
            return "no member leads"
        return (
            "" if len(others) >= cluster.quorum else f"the {len(others)} others are no quorum of {len(cluster.voters)}"
        )

    def _why_silent(self, cluster: Cluster) -> str:
        """A cluster whose space is used up counts as unhealthy, and it is the one that needs this most."""
        return "; ".join(
            f"{member.label}: {member.reason or 'it still learns'}"
            for member in cluster.members
            if member.learner or not member.version
        ) or ("" if cluster.leader else "no member leads")

    def _why_closed(self, cluster: Cluster) -> str:
        """Etcd takes one in at a time; whoever learns must be done first, unless it is this one."""
        own = cluster.of(self._wish.name, self._own_peer_url())
        return self._why_sick(cluster, [member for member in cluster.members if member != own]) or (
            "" if cluster.has_quorum and cluster.leader else "it has no quorum"
        )

    def _why_leads(self, cluster: Cluster) -> str:
        return (
            "nobody leads"
            if cluster.leader is None
            else f"{self._wish.name} leads"
            if cluster.leader.name == self._wish.name
            else ""
        )

    @staticmethod
    def _why_sick(cluster: Cluster, members: Iterable[Member]) -> str:
        told = [
            f"{member.label} still learns" if member.learner else f"{member.label}: {member.reason}"
            for member in members
            if member.learner or not member.healthy
        ]
        told += [f"{name}: alarm {alarm}" for name, alarm in cluster.alarms]
        return "; ".join(told)

    def _refuse_loss(self, cluster: Cluster, leaving: Member) -> None:
        staying = [member for member in cluster.voters if member != leaving]
        well = sum(member.healthy for member in staying)
        needed = len(staying) // 2 + 1
        if not leaving.learner and well < needed:
            raise EtcdError(
                f"{leaving.label} was not removed: of the {len(staying)} others {well} are "
                f"healthy and {needed} are needed. Nothing was changed. "
                "Bring the others back first."
            )

    def _reconfigure(self, url: str, verb: str, body: Any) -> None:
        """Etcd refuses for some seconds after a member came, or came back, however well it is by now."""
        deadline = self._clock() + self._wish.wait_seconds
        while True:
            try:
                self._ask(url, f"/v3/cluster/member/{verb}", body)
                return
            except EtcdError as error:
                if UNSETTLED not in str(error) or self._clock() >= deadline:
                    raise
            self._sleep(POLL_SECONDS)

    def _promote(self, cluster: Cluster, own: Member) -> str:
        url = next((member.client_urls[0] for member in cluster.voters if member.healthy), cluster.answered_by)
        try:
            self._ask(url, "/v3/cluster/member/promote", {"ID": decimal(own.id)})
        except EtcdError as error:
            return str(error)
        return "it was given a vote"

    def _listed(self, cluster: Cluster, without: str) -> str:
        own = self._own_peer_url()
        entries = [
            f"{self._wish.name if url == own else member.name or member.host}={url}"
            for member in cluster.members
            if member.id != without
            for url in member.peer_urls
        ]
        return ",".join(sorted(entries))

    def _own_peer_url(self) -> str:
        return peer_url(self._wish.members.get(self._wish.name, ""))

    def _wait(self, why_not: Callable[[Cluster], str], what: str) -> Cluster:
        deadline = self._clock() + (0 if self._check_mode else self._wish.wait_seconds)
        while True:
            cluster = self._see()
            reason = why_not(cluster) if cluster else "no member answers"
            if cluster and not reason:
                return cluster
            if self._clock() >= deadline:
                raise EtcdError(self._with_journal(f"{self._wish.name}: etcd {what}: {reason}"))
            self._sleep(POLL_SECONDS)

    def _with_journal(self, what: str) -> str:
        lines = run(
            ("journalctl", "--unit", UNIT, "--lines", str(JOURNAL_LINES), "--no-pager", "--quiet", "--output", "cat")
        ).strip()
        return (
            f"{what}. The run ends here and changes no other member. This node's last "
            f"journal lines:\n{lines or '(none)'}\nPut that right, then run site.yml again."
        )

    def _look(self) -> Cluster | None:
        others = [address for name, address in self._wish.members.items() if name != self._wish.name]
        own = [client_url("127.0.0.1")] if self._wish.name in self._wish.members else []
        return look([*own, *(client_url(address) for address in others)], self._trust(), 3.0)

    def _ask(self, url: str, path: str, body: Mapping[str, Any], seconds: float = 10.0) -> dict[str, Any]:
        return Client(url, self._trust(), seconds).ask(path, body)

    def _trust(self) -> ssl.SSLContext:
        if self._context is None:
            self._context = Credentials(SETTINGS / "pki").context()
        return self._context
