# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads how k3s runs a component: the journal that an auditor greps, the files, and what the kubelet itself says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..conditions import asked, holds
from ..evidence import Evidence, Node
from ..result import Finding
from ..settings import as_text, at, configured_flags, flags_of, k3s_config, kubelet_files

FILES = "kubelet.conf.d"
EVERYWHERE = ("kubelet", "kube-proxy")


def setting(check: Mapping[str, Any], evidence: Evidence) -> list[Finding]:
    """A flag of a component. Every place that tells its value must hold; `shown` asks for it in the journal itself."""
    component, flag = check["of"], check["flag"]
    nodes = evidence.nodes if component in EVERYWHERE else evidence.servers
    return [_judged(check, node, list(_told(check, node, evidence, component, flag))) for node in nodes]


def _judged(check: Mapping[str, Any], node: Node, told: list[tuple[str, str]]) -> Finding:
    name = f"--{check['flag']}"
    if check["of"] not in node.lines:
        return Finding(
            node.name,
            False,
            f"the journal holds no line 'Running {check['of']} …' any more; restart k3s there and audit again",
        )
    if check.get("shown") and not any(place == "the journal" for place, _ in told):
        return Finding(node.name, False, f"{name} is not in the line 'Running {check['of']} …', where auditors read it")
    wrong = [f"{place} says {name}={value}" for place, value in told if not holds(check, value)]
    if not told and not holds(check, None):
        wrong = [f"{name} is given nowhere"]
    if wrong:
        return Finding(node.name, False, f"{', '.join(wrong)}; asked: {asked(check)}")
    return Finding(node.name, True, ", ".join(f"{place}: {value}" for place, value in told) or f"{name} is not given")


def _told(
    check: Mapping[str, Any], node: Node, evidence: Evidence, component: str, flag: str
) -> Iterator[tuple[str, str]]:
    running = flags_of(node.lines.get(component, ""), component)
    if flag in running:
        yield "the journal", running[flag]
    configured = configured_flags(node.texts, component)
    if flag in configured and configured[flag] != running.get(flag):
        yield "k3s' configuration, from the next start on,", configured[flag]
    if component == "kubelet" and "path" in check:
        place, value = _reported(node, evidence, check["path"])
        if value is not None and (place != FILES or flag not in running):
            yield place, value


def kubelet_value(check: Mapping[str, Any], evidence: Evidence) -> list[Finding]:
    """What has no flag of its own: as each kubelet reports it, or else as its files say."""
    findings = []
    for node in evidence.nodes:
        place, value = _reported(node, evidence, check["path"])
        seen = f"{place}: {check['path']} is {'not set' if value is None else value}"
        findings.append(Finding(node.name, holds(check, value), seen))
    return findings


def _reported(node: Node, evidence: Evidence, path: str) -> tuple[str, str | None]:
    running = evidence.api.kubelets.get(node.name)
    value = at(kubelet_files(node.texts) if running is None else running, path)
    return (FILES if running is None else "the running kubelet"), None if value is None else as_text(value)


def k3s_key(check: Mapping[str, Any], evidence: Evidence) -> list[Finding]:
    """A key of k3s' own configuration, on the servers."""
    findings = []
    for node in evidence.servers:
        value = k3s_config(node.texts).get(check["key"])
        seen = None if value is None else as_text(value)
        findings.append(
            Finding(node.name, holds(check, seen), f"{check['key']}: {'not set' if seen is None else seen}")
        )
    return findings


def encryption_provider(check: Mapping[str, Any], evidence: Evidence) -> list[Finding]:
    """The provider that new secrets are written with: the first of the list."""
    findings = []
    for node in evidence.servers:
        providers = node.encryption or ()
        first = providers[0] if providers else None
        findings.append(Finding(node.name, holds(check, first), f"secrets are written by {first or 'no provider'}"))
    return findings
