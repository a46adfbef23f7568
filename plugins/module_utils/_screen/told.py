# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each node told, as plain facts; a node that told nothing is a fact too."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

SECONDS_OF_HOUR = 3600.0


@dataclass(frozen=True)
class Node:
    """One node of the inventory. The looks are empty where the node did not answer, or has no such part.

    `answering` are the parts of the inference service that it should have.
    """

    name: str
    address: str
    server: bool
    member: bool
    reached: bool
    said: str
    k3s: Mapping[str, Any]
    etcd: Mapping[str, Any]
    balancer: Mapping[str, Any]
    backup: Mapping[str, Any]
    answering: tuple[str, ...]
    inference: Mapping[str, Any]

    @property
    def days_left(self) -> int | None:
        """Of the certificate that ends first, authorities apart."""
        leaves = [int(one["days_left"]) for one in self.k3s.get("certificates", ()) if not one.get("authority")]
        leaves += [
            int(one["days_left"])
            for kind, one in self.etcd.get("certificates", {}).items()
            if kind != "ca" and one.get("days_left") is not None
        ]
        return min(leaves, default=None)


@dataclass(frozen=True)
class Backup:
    """The newest of one node's backups."""

    name: str
    node: str
    hours_old: float
    sent: bool


def nodes(told: Iterable[Mapping[str, Any]]) -> tuple[Node, ...]:
    """Read what the role collected."""
    return tuple(
        Node(
            name=str(one["name"]),
            address=str(one["address"]),
            server=bool(one["server"]),
            member=bool(one["member"]),
            reached=bool(one["reached"]),
            said=str(one.get("said") or ""),
            k3s=one.get("k3s") or {},
            etcd=one.get("etcd") or {},
            balancer=one.get("balancer") or {},
            backup=one.get("backup") or {},
            answering=tuple(one.get("answering") or ()),
            inference=one.get("inference") or {},
        )
        for one in told
    )


def best_view(site: Iterable[Node]) -> Mapping[str, Any]:
    """The datastore as the one sees it who sees most of it well; empty where nobody sees it."""
    views: list[Mapping[str, Any]] = [node.etcd["cluster"] for node in site if node.etcd.get("cluster")]
    return max(views, key=lambda view: sum(bool(member["healthy"]) for member in view["members"]), default={})


def backups(site: Iterable[Node], now: float) -> list[Backup]:
    """Every backup that a node keeps, the newest first."""
    found = [
        Backup(
            str(one["name"]), node.name, (now - _moment(str(one["created"]))) / SECONDS_OF_HOUR, bool(one.get("sent"))
        )
        for node in site
        for one in node.backup.get("backups", ())
    ]
    return sorted(found, key=lambda backup: backup.hours_old)


def _moment(text: str) -> float:
    return datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=datetime.timezone.utc).timestamp()
