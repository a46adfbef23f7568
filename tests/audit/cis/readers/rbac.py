# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads who may do what in the API."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..evidence import Api, Evidence
from ..result import Finding

Object = Mapping[str, Any]
BOOTSTRAPPED = "kubernetes.io/bootstrapping"
ANYBODY = ("system:authenticated", "system:unauthenticated", "system:anonymous", "system:serviceaccounts")


def cluster_admin(check: Mapping[str, Any], evidence: Evidence) -> list[Finding]:
    """Nobody but the named bindings gives the role cluster-admin."""
    return [
        Finding(f"{kind}/{name}", name in check["but"], f"gives cluster-admin to {_subjects(binding)}")
        for kind, name, binding in _bindings(evidence.api)
        if binding["roleRef"]["name"] == "cluster-admin"
    ] or [Finding("clusterrolebindings", False, "no binding of cluster-admin was found, not even Kubernetes' own")]


def wildcards(check: Mapping[str, Any], evidence: Evidence) -> list[Finding]:
    """No role but the named ones says `*` for a group, a resource, a verb or a path."""
    findings = []
    for kind in ("roles", "clusterroles"):
        for role in evidence.api.all(kind):
            name = role["metadata"]["name"]
            if name in check["but"]:
                continue
            fields = sorted({key for rule in role.get("rules") or () for key, values in rule.items() if "*" in values})
            findings.append(
                Finding(_subject(kind, role), not fields, f"* in {', '.join(fields)}" if fields else "no *")
            )
    return findings


def nobody_but_the_system(check: Mapping[str, Any], evidence: Evidence) -> list[Finding]:
    """Only Kubernetes' own users, groups and controllers may do the verbs on the resources."""
    rules = {
        (kind, role["metadata"].get("namespace", ""), role["metadata"]["name"]): role.get("rules") or ()
        for kind in ("roles", "clusterroles")
        for role in evidence.api.all(kind)
    }
    findings = []
    for kind, name, binding in _bindings(evidence.api):
        reference = binding["roleRef"]
        namespace = binding["metadata"].get("namespace", "") if reference["kind"] == "Role" else ""
        role = rules.get((reference["kind"].lower() + "s", namespace, reference["name"]), ())
        if not any(_grants(rule, check) for rule in role):
            continue
        for subject in binding.get("subjects") or ():
            who = _who(subject)
            findings.append(
                Finding(f"{kind}/{name}", _is_system(subject, binding, check), f"{who} by {reference['name']}")
            )
    return findings


def _grants(rule: Mapping[str, Any], check: Mapping[str, Any]) -> bool:
    groups, resources, verbs = (rule.get(key) or () for key in ("apiGroups", "resources", "verbs"))
    asked = {"*", *check["resources"]} | {"*/" + one.partition("/")[2] for one in check["resources"] if "/" in one}
    return (
        any(group in (check.get("group", ""), "*") for group in groups)
        and any(resource in asked for resource in resources)
        and any(verb in (*check["verbs"], "*") for verb in verbs)
    )


def _is_system(subject: Object, binding: Object, check: Mapping[str, Any]) -> bool:
    """A name that Kubernetes keeps for itself, or an account of kube-system by a binding that Kubernetes made."""
    name = str(subject["name"])
    if subject["kind"] != "ServiceAccount":
        return (name.startswith("system:") and name not in ANYBODY) or name in check.get("but", ())
    own = (binding["metadata"].get("labels") or {}).get(BOOTSTRAPPED) == "rbac-defaults"
    return own and subject.get("namespace") == "kube-system"


def _bindings(api: Api) -> Iterator[tuple[str, str, Object]]:
    for kind in ("clusterrolebindings", "rolebindings"):
        for binding in api.all(kind):
            yield kind, binding["metadata"]["name"], binding


def _who(subject: Object) -> str:
    namespace = f"{subject['namespace']}/" if subject.get("namespace") else ""
    return f"{subject['kind']} {namespace}{subject['name']}"


def _subjects(binding: Object) -> str:
    return ", ".join(_who(subject) for subject in binding.get("subjects") or ()) or "nobody"


def _subject(kind: str, role: Object) -> str:
    namespace = role["metadata"].get("namespace")
    return f"{kind}/{namespace}/{role['metadata']['name']}" if namespace else f"{kind}/{role['metadata']['name']}"
