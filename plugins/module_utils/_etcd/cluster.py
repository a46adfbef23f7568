# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cluster as its living members tell it: who belongs to it, who leads, who is well."""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from .client import Client
from .errors import EtcdError

ALARMS = {
    "NOSPACE": "its data has reached the quota; run playbooks/datastore_defrag.yml",
    "CORRUPT": "its data differs from that of the others",
}


@dataclass(frozen=True)
class Member:
    """One member; identities are hexadecimal digits. What is after `healthy` is told by the member itself."""

    id: str
    name: str
    peer_urls: tuple[str, ...]
    client_urls: tuple[str, ...]
    learner: bool
    healthy: bool = False
    reason: str = ""
    leader: bool = False
    version: str = ""
    db_size: int = 0
    db_size_in_use: int = 0
    raft_index: int = 0
    raft_term: int = 0

    @property
    def started(self) -> bool:
        """Whether it ever served: a member that did has told the others where."""
        return bool(self.client_urls)

    @property
    def alarmed(self) -> bool:
        """Whether it answers, and says that an alarm is what keeps it from being healthy."""
        return self.reason.startswith("ALARM ")

    @property
    def host(self) -> str:
        return urlsplit(self.peer_urls[0]).hostname or "" if self.peer_urls else ""

    @property
    def label(self) -> str:
        return self.name or self.host or self.id


@dataclass(frozen=True)
class Cluster:
    """What one answer told, with the health of every member."""

    id: str
    answered_by: str
    members: tuple[Member, ...]
    alarms: tuple[tuple[str, str], ...] = ()

    @property
    def voters(self) -> tuple[Member, ...]:
        return tuple(member for member in self.members if not member.learner)

    @property
    def leader(self) -> Member | None:
        return next((member for member in self.members if member.leader), None)

    @property
    def quorum(self) -> int:
        return len(self.voters) // 2 + 1

    @property
    def has_quorum(self) -> bool:
        """An alarm makes members unhealthy that stand together all the same: nothing is lost, and none is missing."""
        return sum(member.healthy or member.alarmed for member in self.voters) >= self.quorum

    def of(self, name: str, peer_url: str) -> Member | None:
        """The member of that name or address; one that was added and never started has no name yet."""
        by_name = next((member for member in self.members if member.name == name), None)
        return by_name or next((member for member in self.members if peer_url in member.peer_urls), None)

    def as_dict(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "answered_by": self.answered_by,
            "leader": self.leader.label if self.leader else "",
            "has_quorum": self.has_quorum,
            "members": [{**asdict(member), "started": member.started} for member in self.members],
            "alarms": [{"member": member, "alarm": alarm} for member, alarm in self.alarms],
        }


def client_url(address: str) -> str:
    return f"https://{_bracketed(address)}:2379"


def peer_url(address: str) -> str:
    return f"https://{_bracketed(address)}:2380"


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def hexadecimal(number: str) -> str:
    """An identity as etcd's own tools print it; the JSON side writes it as a decimal number."""
    return f"{int(number):x}"


def decimal(identity: str) -> str:
    return str(int(identity, 16))


def read_members(answer: Mapping[str, Any]) -> tuple[Member, ...]:
    return tuple(
        Member(
            id=hexadecimal(entry["ID"]),
            name=entry.get("name", ""),
            peer_urls=tuple(entry.get("peerURLs", ())),
            client_urls=tuple(entry.get("clientURLs", ())),
            learner=bool(entry.get("isLearner", False)),
        )
        for entry in answer.get("members", ())
    )


def with_status(member: Member, status: Mapping[str, Any], reason: str) -> Member:
    """The member with what it says of itself; `reason` is why it is not healthy."""
    header = status.get("header", {})
    own = hexadecimal(header["member_id"]) if header.get("member_id") else ""
    if own and own != member.id:
        return replace(member, reason=f"another member ({own}) answers at its address")
    leader = str(status.get("leader", "0"))
    return replace(
        member,
        healthy=not reason and bool(status),
        reason=reason,
        leader=leader not in ("0", "") and hexadecimal(leader) == member.id,
        version=status.get("version", ""),
        db_size=int(status.get("dbSize", 0)),
        db_size_in_use=int(status.get("dbSizeInUse", 0)),
        raft_index=int(status.get("raftIndex", 0)),
        raft_term=int(status.get("raftTerm", 0)),
    )


def look(urls: Sequence[str], context: ssl.SSLContext, seconds: float = 3.0) -> Cluster | None:
    """Ask the first of these client ports that answers who belongs to the cluster, then each of them how it is."""
    for client in (Client(url, context, seconds) for url in urls):
        try:
            answer = client.ask("/v3/cluster/member/list", {"linearizable": False})
        except EtcdError:
            continue
        members = read_members(answer)
        if members:
            break
    else:
        return None

    def examine(member: Member) -> Member:
        return _examine(member, context, seconds)

    with ThreadPoolExecutor(max_workers=len(members)) as pool:
        examined = tuple(pool.map(examine, members))
    return Cluster(
        id=hexadecimal(answer["header"]["cluster_id"]),
        answered_by=client.url,
        members=examined,
        alarms=tuple(_alarms(client, examined)),
    )


def _examine(member: Member, context: ssl.SSLContext, seconds: float) -> Member:
    if not member.client_urls:
        return replace(member, reason="it has not started yet")
    client = Client(member.client_urls[0], context, seconds)
    try:
        status = client.ask("/v3/maintenance/status")
    except EtcdError as error:
        return replace(member, reason=str(error))
    # A learner answers no reads, so its word about itself is all there is.
    return with_status(member, status, "" if member.learner else client.health())


def _alarms(client: Client, members: Iterable[Member]) -> list[tuple[str, str]]:
    names = {member.id: member.label for member in members}
    try:
        found = client.ask("/v3/maintenance/alarm", {"action": "GET"}).get("alarms", ())
    except EtcdError:
        return []
    return [
        (names.get(hexadecimal(entry.get("memberID", "0")), "a member that is gone"), str(entry.get("alarm", "")))
        for entry in found
    ]


def problems(cluster: Cluster, wanted: Mapping[str, str]) -> list[str]:
    """What is wrong with the cluster, each with what to do; `wanted` is name → address."""
    found = []
    if not cluster.has_quorum:
        well = sum(member.healthy for member in cluster.voters)
        found.append(
            f"{well} of {len(cluster.voters)} members are healthy and {cluster.quorum} are "
            f"needed, so nothing can be written; start the others"
        )
    elif cluster.leader is None:
        found.append("no member leads; look at the clocks and the network between the members")
    for member in cluster.members:
        if member.learner:
            found.append(f"{member.label} still learns and has no vote yet; run site.yml again")
        elif not member.healthy:
            found.append(f"{member.label} is not healthy: {member.reason}")
        if member.name and member.name not in wanted:
            found.append(
                f"{member.name} is a member and not in the inventory; put it back or remove it "
                f"with the entry point remove"
            )
    found += [
        f"{name}: alarm {alarm}: {ALARMS.get(alarm, 'see the documentation of etcd')}" for name, alarm in cluster.alarms
    ]
    return found
