# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads what guards a namespace: its pod security, its network policies, its default service account."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..evidence import Evidence, Node
from ..result import Finding
from ..settings import flags_of, parsed

LEVELS = ("privileged", "baseline", "restricted")
ENFORCE = "pod-security.kubernetes.io/enforce"


def pod_security(check: Mapping[str, Any], evidence: Evidence) -> list[Finding]:
    """Every namespace enforces the level or a stricter one, by its label or by the default of every API server."""
    findings = []
    settings = [_admission(node) for node in evidence.servers]
    default = min((level for level, _ in settings), key=LEVELS.index, default="privileged")
    exempt = {name for _, names in settings for name in names}
    for namespace in evidence.api.all("namespaces"):
        name = namespace["metadata"]["name"]
        label = (namespace["metadata"].get("labels") or {}).get(ENFORCE)
        level = "privileged" if name in exempt else (label if label in LEVELS else default)
        how = (
            "exempt from admission" if name in exempt else f"enforces {level} by {'its label' if label else 'default'}"
        )
        findings.append(Finding(f"namespace/{name}", LEVELS.index(level) >= LEVELS.index(check["level"]), how))
    return findings


def _admission(node: Node) -> tuple[str, list[str]]:
    """The level that this server enforces where a namespace says nothing, and the namespaces that it lets alone."""
    path = flags_of(node.lines.get("kube-apiserver", ""), "kube-apiserver").get("admission-control-config-file", "")
    content = parsed(node.texts.get(path, ""))
    for plugin in content.get("plugins") or ():
        if plugin.get("name") == "PodSecurity":
            settings = plugin.get("configuration") or {}
            level = (settings.get("defaults") or {}).get("enforce", "privileged")
            return level, list((settings.get("exemptions") or {}).get("namespaces") or ())
    return "privileged", []


def network_policies(check: Mapping[str, Any], evidence: Evidence) -> list[Finding]:
    """Every namespace has a policy that selects all its pods for incoming traffic."""
    guarded = {
        policy["metadata"]["namespace"]
        for policy in evidence.api.all("networkpolicies")
        if not any((policy["spec"].get("podSelector") or {}).values())
        and "Ingress" in (policy["spec"].get("policyTypes") or ["Ingress"])
    }
    return [
        Finding(
            f"namespace/{name}", name in guarded, "guarded" if name in guarded else "no policy selects all its pods"
        )
        for name in (namespace["metadata"]["name"] for namespace in evidence.api.all("namespaces"))
    ]


def default_service_accounts(check: Mapping[str, Any], evidence: Evidence) -> list[Finding]:
    """The service account `default` hands out no token."""
    return [
        Finding(
            f"namespace/{account['metadata']['namespace']}",
            account.get("automountServiceAccountToken") is False,
            f"automountServiceAccountToken: {account.get('automountServiceAccountToken', 'not set')}",
        )
        for account in evidence.api.all("serviceaccounts")
        if account["metadata"]["name"] == "default" and account["metadata"]["namespace"] not in check["but"]
    ] or [Finding("serviceaccounts", False, "no service account named default was found")]


def nothing_in(check: Mapping[str, Any], evidence: Evidence) -> list[Finding]:
    """The namespace holds no pods, and no services but Kubernetes' own."""
    found = [
        Finding(f"{kind}/{item['metadata']['name']}", False, f"is in the namespace {check['namespace']}")
        for kind in ("pods", "services")
        for item in evidence.api.all(kind)
        if item["metadata"]["namespace"] == check["namespace"] and item["metadata"]["name"] not in check["but"]
    ]
    return found or [Finding(f"namespace/{check['namespace']}", True, "empty")]
