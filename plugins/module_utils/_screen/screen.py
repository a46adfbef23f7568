# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The screen itself: a table of the nodes, some lines about what they share, and what is wrong."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from . import answers
from .answers import WIDTH, Front
from .told import Node, backups, best_view, nodes
from .wrong import Limits, wrong

HEADINGS = ("NODE", "ADDRESS", "ROLE", "K3S", "READY", "ETCD", "MEMBER", "SIZE", "CERTIFICATES")
NOTHING = "-"
NO_FRONT = Front()


@dataclass(frozen=True)
class Screen:
    """Lines to print, and the sentences about what is wrong."""

    lines: list[str]
    wrong: list[str]


def draw(
    told: Iterable[Mapping[str, Any]], name: str, vip: str, now: float, limits: Limits, front: Front = NO_FRONT
) -> Screen:
    """Everything about a site on one screen."""
    site = nodes(told)
    faults = [*wrong(site, vip, now, limits), *dict.fromkeys(answers.wrong(site, front, limits.least_days))]
    when = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(now))
    lines = [
        f"Site {name} at {when}: {_summary(site, faults)}",
        "",
        *_table([HEADINGS, *(_row(node, best_view(site)) for node in site)]),
        "",
        *_shared(site, vip, now),
        *answers.lines(site, front),
    ]
    if faults:
        lines += ["", "WRONG"]
        for fault in faults:
            lines += textwrap.wrap(fault, WIDTH, initial_indent="- ", subsequent_indent="  ", break_on_hyphens=False)
    return Screen(lines, faults)


def _summary(site: Sequence[Node], faults: Sequence[str]) -> str:
    ready = sum(bool(node.k3s.get("ready")) for node in site)
    state = f"{len(faults)} things are wrong" if len(faults) > 1 else "one thing is wrong" if faults else "all is well"
    return f"{ready} of {len(site)} nodes Ready, {state}"


def _row(node: Node, view: Mapping[str, Any]) -> tuple[str, ...]:
    role = "server" if node.server else "worker"
    member: Mapping[str, Any] = next((one for one in view.get("members", ()) if one["name"] == node.name), {})
    days = node.days_left
    return (
        node.name,
        node.address,
        role,
        (node.k3s.get("running") or node.k3s.get("installed") or NOTHING) if node.reached else "no answer",
        ("yes" if node.k3s.get("ready") else "NO") if node.reached else "NO",
        member.get("version") or node.etcd.get("running") or NOTHING,
        _place(node, member),
        _size(int(member["db_size"])) if member.get("db_size") else NOTHING,
        NOTHING if days is None else f"{days} days",
    )


def _place(node: Node, member: Mapping[str, Any]) -> str:
    if not member:
        return "missing" if node.member and node.etcd.get("cluster") else NOTHING
    if not member["healthy"]:
        return "DOWN"
    return "leader" if member["leader"] else "learner" if member["learner"] else "follower"


def _shared(site: Sequence[Node], vip: str, now: float) -> list[str]:
    lines = []
    if vip:
        holders = [node.name for node in site if node.balancer.get("holds_vip")]
        serving = [node.name for node in site if node.balancer.get("serving")]
        lines.append(
            f"VIP      {vip} at {', '.join(holders) or 'nobody'}; balancers serve on {', '.join(serving) or 'none'}"
        )
    kept = backups(site, now)
    asked = [node.backup["configured"] for node in site if "configured" in node.backup]
    if kept:
        sent = sum(backup.sent for backup in kept)
        lines.append(
            f"BACKUPS  newest {_age(kept[0].hours_old)} old ({kept[0].name} on {kept[0].node}), "
            f"{len(kept)} kept, {sent} sent"
        )
    elif asked and not any(asked):
        lines.append("BACKUPS  none, and none will be made: there is no key to seal them for, see docs/backup.md")
    else:
        lines.append("BACKUPS  none on the nodes that answer")
    return lines


def _table(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]


def _size(size: int) -> str:
    return f"{size / 1024 / 1024:.1f} MiB"


def _age(hours: float) -> str:
    if hours < 1:
        return f"{max(hours, 0) * 60:.0f} min"
    return f"{hours:.0f} h" if hours < 72 else f"{hours / 24:.0f} days"
