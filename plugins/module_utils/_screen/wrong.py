# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with a site, and what to type: one sentence each, the worst first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .told import Node, backups, best_view

RUN = "ansible-playbook -i <inventory>"
LEAST_DAYS = 30


@dataclass(frozen=True)
class Limits:
    """From when on an age is wrong."""

    backup_hours: float = 26.0
    least_days: int = LEAST_DAYS


def wrong(site: Sequence[Node], vip: str, now: float, limits: Limits) -> list[str]:
    """Every fault once, however many nodes tell it."""
    found = [
        *_datastore(site),
        *_silent(site),
        *_address(site, vip),
        *_nodes(site, limits),
        *_backups(site, now, limits),
    ]
    return list(dict.fromkeys(found))


def _datastore(site: Sequence[Node]) -> Iterator[str]:
    view = best_view(site)
    if not view:
        if any(node.member and (node.etcd.get("state") or "blank") != "blank" for node in site):
            yield (
                "etcd: no member answers, so nothing can be written. Start the nodes that are down; if most are gone "
                f"for good: {RUN} playbooks/recover_quorum.yml"
            )
        return
    if not view["has_quorum"]:
        yield (
            "etcd: too few members answer for a quorum, so nothing can be written. Start the nodes that are down; "
            f"if they are gone for good: {RUN} playbooks/recover_quorum.yml"
        )
    known = {node.name for node in site if node.member}
    for member in view["members"]:
        name = member["name"] or member["id"]
        if known and name not in known:
            yield (
                f"etcd: the member {name} is in no inventory. If its node is gone for good: "
                f"{RUN} playbooks/node_remove.yml -e node={name} -e confirm={name}"
            )
        elif member["learner"]:
            yield f"etcd: {name} is still a learner. A run of site.yml ends that."
        elif not member["healthy"]:
            reason = member["reason"] or "no answer"
            yield f"etcd: the member {name} is not healthy ({reason}). See: journalctl -u etcd on {name}"
    for alarm in view["alarms"]:
        cure = f"{RUN} playbooks/datastore_defrag.yml" if alarm["alarm"] == "NOSPACE" else "See docs/etcd.md"
        yield f"etcd: {alarm['member']} raised the alarm {alarm['alarm']}, so nothing can be changed. {cure}"


def _silent(site: Sequence[Node]) -> Iterator[str]:
    for node in site:
        if not node.reached:
            yield (
                f"{node.name}: does not answer at {node.address} ({node.said or 'no answer'}). Look at its console. If "
                f"it is gone for good: {RUN} playbooks/node_remove.yml -e node={node.name}; "
                f"if it comes back blank: {RUN} playbooks/node_rebuild.yml -e node={node.name}"
            )


def _address(site: Sequence[Node], vip: str) -> Iterator[str]:
    looks = [node for node in site if node.balancer]
    if not vip or not looks:
        return
    holders = [node.name for node in looks if node.balancer.get("holds_vip")]
    if len(holders) > 1:
        yield (
            f"API: {' and '.join(holders)} both hold {vip}, so they do not hear each other. "
            "See on both: journalctl -u keepalived"
        )
    if not holders and all(node.reached for node in site if node.server):
        yield f"API: nobody holds {vip}. See: journalctl -u keepalived; then {RUN} site.yml"
    for node in looks:
        if not node.balancer.get("serving"):
            yield f"{node.name}: its balancer serves nobody. See: journalctl -u haproxy; then {RUN} site.yml"


def _nodes(site: Sequence[Node], limits: Limits) -> Iterator[str]:
    for node in site:
        if node.reached and node.said:
            yield f"{node.name}: could not be looked at ({node.said})"
        if (
            node.reached
            and not node.said
            and node.k3s.get("blank", True)
            and node.etcd.get("state", "blank") == "blank"
        ):
            yield f"{node.name}: is blank. {RUN} site.yml makes it a node"
            continue
        for look in (node.etcd, node.k3s):
            yield from (f"{node.name}: {problem}" for problem in look.get("problems", ()))
        days = node.days_left
        if days is not None and days < limits.least_days:
            yield f"{node.name}: a certificate ends in {days} days: {RUN} playbooks/certificates.yml"


def _backups(site: Sequence[Node], now: float, limits: Limits) -> Iterator[str]:
    if not any(node.backup.get("configured") for node in site):
        return
    kept = backups(site, now)
    if not kept:
        yield f"backups: there is none: {RUN} playbooks/backup.yml"
    elif kept[0].hours_old > limits.backup_hours:
        yield (
            f"backups: the newest is {kept[0].hours_old:.0f} h old. See: systemctl list-timers on the nodes; now: "
            f"{RUN} playbooks/backup.yml"
        )
    waiting = sorted({name for node in site for name in node.backup.get("waiting", ())})
    if waiting:
        yield f"backups: {len(waiting)} are not sent to the store yet, such as {waiting[0]}; the nodes keep them"
