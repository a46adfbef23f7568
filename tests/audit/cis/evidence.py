# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was seen of a site: each node's files, journal and etcd, and the objects of the API. No judgement here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class File:
    """A file or folder, as stat has it. `mode` is what chmod takes: 0o600."""

    path: str
    mode: int
    owner: str
    group: str


@dataclass(frozen=True)
class Etcd:
    """An etcd that runs on the node, outside Kubernetes: how it was started, and the files that it names."""

    arguments: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    config: str = ""
    config_path: str = ""
    files: Mapping[str, File] = field(default_factory=dict)


@dataclass(frozen=True)
class Node:
    """One node. `lines` are the newest lines in which k3s said how it runs a component, by its name."""

    name: str
    server: bool = False
    member: bool = False
    lines: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, tuple[File, ...]] = field(default_factory=dict)
    texts: Mapping[str, str] = field(default_factory=dict)
    etcd: Etcd | None = None
    encryption: tuple[str, ...] | None = None
    authorities: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Api:
    """Objects by the plural name of their kind, and what each node's kubelet says that it runs with."""

    objects: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    kubelets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def all(self, kind: str) -> Sequence[Mapping[str, Any]]:
        return self.objects.get(kind, ())


@dataclass(frozen=True)
class Evidence:
    """A whole site."""

    nodes: tuple[Node, ...]
    api: Api

    @property
    def servers(self) -> tuple[Node, ...]:
        return tuple(node for node in self.nodes if node.server)

    @property
    def members(self) -> tuple[Node, ...]:
        return tuple(node for node in self.nodes if node.member)


class EvidenceError(Exception):
    """Something could not be looked at, so nothing may be concluded."""


def read_site(reports: Mapping[str, Mapping[str, Any]]) -> Evidence:
    """Make the evidence from what the probe reported of each node."""
    nodes = tuple(_node(name, report) for name, report in sorted(reports.items()))
    servers = [name for name, report in reports.items() if report["server"]]
    answers = [
        report["api"] for name, report in sorted(reports.items()) if report["server"] and report["api"]["objects"]
    ]
    if not servers:
        raise EvidenceError("no host of the inventory is a k3s server, so there is no site to audit")
    if not answers:
        told = "; ".join(f"{name}: {reports[name]['api']['problem']}" for name in servers)
        raise EvidenceError(f"no server's API could be read, so nothing was concluded. {told}")
    return Evidence(nodes, Api(answers[0]["objects"], answers[0]["kubelets"]))


def _file(seen: Mapping[str, Any]) -> File:
    return File(seen["path"], seen["mode"], seen["owner"], seen["group"])


def _node(name: str, report: Mapping[str, Any]) -> Node:
    etcd = report["etcd"]
    return Node(
        name=name,
        server=report["server"],
        member=report["member"],
        lines=report["lines"],
        files={pattern: tuple(map(_file, seen)) for pattern, seen in report["files"].items()},
        texts=report["texts"],
        etcd=etcd
        and Etcd(
            arguments=tuple(etcd["arguments"]),
            environment=etcd["environment"],
            config=etcd["config"],
            config_path=etcd["config_path"],
            files={path: _file(seen) for path, seen in etcd["files"].items()},
        ),
        encryption=None if report["encryption"] is None else tuple(report["encryption"]),
        authorities=report["authorities"],
    )
