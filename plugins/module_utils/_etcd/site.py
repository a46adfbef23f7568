# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the looks at all members come to: which version and timing, which hosts start how, and what forbids to go on."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .._versions import version_key
from .cluster import peer_url

LEAST_MEMBERS = 3
FAST_DISK_MS = 10.0
FAST, SLOW = "fast", "slow"
# Earlier ones may hand a wrong list of members to 3.6 (etcd's own advice for that upgrade).
LEAST_35_BEFORE_36 = "3.5.26"
NUMBERS = re.compile(r"(\d+)\.(\d+)\.(\d+)")


@dataclass(frozen=True)
class Question:
    """What is known and wanted. `looks` are those of the hosts that this run reaches, by name."""

    looks: Mapping[str, Mapping[str, Any]]
    members: Mapping[str, str]
    token: str
    version: str = ""
    timing: str = "auto"
    measure: bool = False
    free_min_mb: int = 0
    bundle: Sequence[Mapping[str, Any]] = ()
    disks: Mapping[str, float] = field(default_factory=dict)


def conclude(question: Question) -> dict[str, Any]:
    """All that the role goes by."""
    cluster = best_view(question.looks)
    formed = has_formed(question.looks)
    versions = {host: wanted_version(question, look) for host, look in question.looks.items()}
    blank = [host for host, look in question.looks.items() if look["state"] == "blank"]
    return {
        "formed": formed,
        "cluster": cluster,
        "leader": cluster["leader"] if cluster else "",
        "versions": versions,
        "timing": timing(question, formed),
        "new": [] if formed else blank,
        "join": blank if formed else [],
        "start": [host for host, look in question.looks.items() if look["state"] == "stopped"],
        "order": order(question.looks, cluster),
        "faults": list(faults(question, versions, formed)),
    }


def best_view(looks: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """The cluster as the one sees it who sees most of it well."""
    views = [look["cluster"] for look in looks.values() if look["cluster"]]
    return max(views, key=lambda view: sum(member["healthy"] for member in view["members"]), default=None)


def has_formed(looks: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether there is, or was, a cluster that may hold data."""
    return any(look["facts"].get("cluster") or (look["cluster"] or {}).get("has_quorum") for look in looks.values())


def wanted_version(question: Question, look: Mapping[str, Any]) -> str:
    """The version that was asked for, else the newest of the bundle, else what is there."""
    if question.version:
        return question.version
    return max(_bundled(question, look), key=version_key, default=str(look["installed"]))


def timing(question: Question, formed: bool) -> str:
    """Fast only where every disk is; empty while none was measured. What a cluster has is kept until somebody asks."""
    if question.timing != "auto":
        return question.timing
    kept = {look["facts"]["timing"] for look in question.looks.values() if look["facts"].get("timing")}
    if formed and kept and not question.measure:
        return SLOW if SLOW in kept else FAST
    measured = {
        host: question.disks.get(host, look["facts"].get("fsync_p99_ms")) for host, look in question.looks.items()
    }
    known = [float(value) for value in measured.values() if value is not None]
    if not known:
        return ""
    return FAST if max(known) < FAST_DISK_MS else SLOW


def order(looks: Mapping[str, Mapping[str, Any]], cluster: Mapping[str, Any] | None) -> list[str]:
    """Running members as they are to be changed: those that are not well first, the leader last."""
    healthy = {member["name"] for member in cluster["members"] if member["healthy"]} if cluster else set()
    leader = cluster["leader"] if cluster else ""
    running = [host for host, look in looks.items() if look["state"] == "running"]
    return sorted(running, key=lambda host: (host == leader, host in healthy, host))


def faults(question: Question, versions: Mapping[str, str], formed: bool) -> Iterator[str]:
    """Everything that forbids to go on, each with its remedy."""
    yield from _about_members(question.members)
    yield from _about_clusters(question, formed)
    yield from _about_addresses(question)
    for host, look in sorted(question.looks.items()):
        yield from (f"{host}: {fault}" for fault in look["faults"])
        token = look["facts"].get("token")
        if token and token != question.token:
            yield (
                f"{host}: its data are those of the cluster {token}, and this run is for "
                f"{question.token}; use the right inventory "
                "(site_name), or reset the host first"
            )
        if look["state"] == "blank" and look["free_mb"] < question.free_min_mb:
            yield (
                f"{host}: {look['free_mb']} MiB are free for etcd of the {question.free_min_mb} that "
                "etcd_free_min_mb asks for; free some space"
            )
        yield from _about_version(host, look, versions[host], question)


def _about_members(members: Mapping[str, str]) -> Iterator[str]:
    count = len(members)
    if count < LEAST_MEMBERS:
        yield f"etcd would have {count} members, and fewer than {LEAST_MEMBERS} survive no loss; name 3 or 5 hosts"
    elif count % 2 == 0:
        yield (
            f"etcd would have {count} members, and an even number survives no more losses "
            f"than one less; name {count - 1} or {count + 1} hosts"
        )
    for address, times in Counter(members.values()).items():
        if times > 1:
            names = ", ".join(sorted(name for name, own in members.items() if own == address))
            yield f"{names} have the same address {address}; give each its own node_address"


def _about_clusters(question: Question, formed: bool) -> Iterator[str]:
    seen: dict[str, list[str]] = {}
    for host, look in question.looks.items():
        identity = look["facts"].get("cluster") or (look["cluster"] or {}).get("id")
        if identity:
            seen.setdefault(str(identity), []).append(host)
    if len(seen) > 1:
        parts = "; ".join(f"{', '.join(sorted(hosts))} in {identity}" for identity, hosts in sorted(seen.items()))
        yield (
            f"the hosts belong to different clusters ({parts}), whose data can never be "
            f"joined; reset the hosts that are wrong here"
        )
    states = {look["state"] for look in question.looks.values()}
    everybody = set(question.looks) >= set(question.members)
    if formed and states == {"blank"} and everybody:
        yield (
            "every member has lost its data, and the cluster had some; restore a backup with "
            "playbooks/restore.yml, or reset the hosts to begin anew"
        )


def _about_addresses(question: Question) -> Iterator[str]:
    cluster = best_view(question.looks)
    for member in cluster["members"] if cluster else ():
        wanted = question.members.get(member["name"])
        if wanted and peer_url(wanted) not in member["peer_urls"]:
            yield (
                f"{member['name']} is a member at {', '.join(member['peer_urls'])}, and the "
                f"inventory says {wanted}; put the old "
                "address back, or take it out with the entry point remove, reset the host and let it join anew"
            )


def absent_at_first_start(question: Question) -> str:
    """Why a first start must wait, once blank hosts could ask all others; empty where it need not."""
    missing = sorted(set(question.members) - set(question.looks))
    if not missing:
        return ""
    return (
        f"no cluster answers, and {', '.join(missing)} are not in this run, so it cannot be "
        f"known whether they hold its data; run it for all "
        "members, without --limit"
    )


def _about_version(host: str, look: Mapping[str, Any], wanted: str, question: Question) -> Iterator[str]:
    if not wanted:
        yield (
            f"{host}: there is no etcd for {look['architecture']} in the bundle; set "
            f"bundle_path and run playbooks/bundle.yml"
        )
        return
    if wanted != look["installed"] and wanted not in (*_bundled(question, look), look["previous"]):
        has = ", ".join(sorted(_bundled(question, look), key=version_key)) or "none"
        yield (
            f"{host}: etcd {wanted} for {look['architecture']} is not in the bundle, which "
            f"has {has}; choose one of them in etcd_version"
        )
    present = look["running"] or (look["installed"] if look["state"] != "blank" else "")
    others = [member["version"] for member in (look["cluster"] or {}).get("members", ()) if member["version"]]
    for version in sorted({version for version in (present, *others) if version}, key=version_key):
        fault = step_fault(version, wanted)
        if fault:
            yield f"{host}: {fault}"
            return


def step_fault(present: str, wanted: str) -> str:
    """Why a cluster of one version may not become another; empty where it may."""
    before, after = NUMBERS.match(present), NUMBERS.match(wanted)
    if not before or not after:
        return ""
    if before[1] != after[1]:
        return f"etcd {present} cannot become {wanted}: no step leads from one major version to another"
    step = int(after[2]) - int(before[2])
    if step < 0:
        return (
            f"etcd {present} must not become {wanted}: an older minor version cannot read the "
            f"data; set etcd_version to "
            f"{before[1]}.{before[2]}.*, or restore a backup of before the upgrade"
        )
    if step > 1:
        return (
            f"etcd {present} must not become {wanted} in one step; go by "
            f"{before[1]}.{int(before[2]) + 1}.* (etcd_version)"
        )
    if step == 1 and before[2] == "5" and version_key(present) < version_key(LEAST_35_BEFORE_36):
        return (
            f"etcd {present} must not become {wanted} before {LEAST_35_BEFORE_36}: its list "
            f"of members may be wrong; go by a newer 3.5.* (etcd_version)"
        )
    return ""


def _bundled(question: Question, look: Mapping[str, Any]) -> list[str]:
    return list(
        dict.fromkeys(
            str(entry["version"])
            for entry in question.bundle
            if entry.get("name") == "etcd" and entry.get("arch") == look["architecture"]
        )
    )
