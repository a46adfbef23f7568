# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads what the API server's audit policy would write down, by asking it about requests that matter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from ..evidence import Evidence
from ..result import Finding
from ..settings import flags_of, parsed

LEVELS = ("None", "Metadata", "Request", "RequestResponse")
# A person with a name of his own; the policy may be silent about Kubernetes' own parts.
USER = ("somebody", ("system:authenticated",))


def audit_policy(check: Mapping[str, Any], evidence: Evidence) -> list[Finding]:
    """Each request of the control is written down, at no less and no more than the levels that it names."""
    findings = []
    for node in evidence.servers:
        flags = flags_of(node.lines.get("kube-apiserver", ""), "kube-apiserver")
        path = flags.get("audit-policy-file", "")
        content = node.texts.get(path)
        if content is None:
            findings.append(Finding(node.name, False, f"the audit policy {path or 'is not given'} could not be read"))
            continue
        rules = parsed(content).get("rules") or ()
        for request in check["requests"]:
            level = level_of(rules, request["verb"], request.get("group", ""), request["resource"])
            low, high = request.get("at_least", "Metadata"), request.get("at_most", "RequestResponse")
            fine = LEVELS.index(low) <= LEVELS.index(level) <= LEVELS.index(high)
            findings.append(
                Finding(f"{node.name}:{request['verb']} {request['resource']}", fine, f"written at {level}")
            )
    return findings


def level_of(rules: Sequence[Mapping[str, Any]], verb: str, group: str, resource: str) -> str:
    """The level of the first rule that matches; None where none does."""
    for rule in rules:
        if _matches(rule, verb, group, resource):
            return str(rule["level"])
    return "None"


def _matches(rule: Mapping[str, Any], verb: str, group: str, resource: str) -> bool:
    name, groups = USER
    if rule.get("users") and name not in rule["users"]:
        return False
    if rule.get("userGroups") and not any(one in groups for one in rule["userGroups"]):
        return False
    if rule.get("verbs") and verb not in rule["verbs"]:
        return False
    # A rule about one namespace says nothing about the others, so it is not what guards this request.
    if rule.get("namespaces"):
        return False
    if not rule.get("resources"):
        return not rule.get("nonResourceURLs")
    return any(_names(entry, group, resource) for entry in rule["resources"])


def _names(entry: Mapping[str, Any], group: str, resource: str) -> bool:
    if entry.get("group", "") not in (group, "*") or entry.get("resourceNames"):
        return False
    return not entry.get("resources") or any(fnmatchcase(resource, pattern) for pattern in entry["resources"])
