# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads what pods ask for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..evidence import Evidence
from ..result import Finding
from ..settings import flags_of

Object = Mapping[str, Any]


def token_mounts(check: Mapping[str, Any], evidence: Evidence) -> list[Finding]:
    """A pod mounts the token of its service account only where the account is one that talks to the API."""
    accounts = {
        (account["metadata"]["namespace"], account["metadata"]["name"]): account.get("automountServiceAccountToken")
        for account in evidence.api.all("serviceaccounts")
    }
    findings = []
    for pod in evidence.api.all("pods"):
        account = pod["spec"].get("serviceAccountName", "default")
        own = pod["spec"].get("automountServiceAccountToken")
        given = accounts.get((pod["metadata"]["namespace"], account))
        mounts = own if own is not None else (given if given is not None else True)
        seen = f"service account {account}, its token is {'mounted' if mounts else 'not mounted'}"
        findings.append(Finding(_name(pod), not mounts or account in check["but"], seen))
    return findings


def secrets_as_variables(check: Mapping[str, Any], evidence: Evidence) -> list[Finding]:
    """No container reads a Secret through its environment."""
    findings = []
    for pod in evidence.api.all("pods"):
        users = [one["name"] for one in _containers(pod) if any(map(_from_secret, _variables(one)))]
        findings.append(Finding(_name(pod), not users, f"containers {', '.join(users)}" if users else "none"))
    return findings


def seccomp(check: Mapping[str, Any], evidence: Evidence) -> list[Finding]:
    """Every pod has a seccomp profile: its own, or the one that its kubelet gives by default."""
    findings = []
    giving = _nodes_with_a_profile(evidence)
    for pod in evidence.api.all("pods"):
        by_default = pod["spec"].get("nodeName", "") in giving
        own = _profile(pod["spec"].get("securityContext"))
        profiles = [_profile(container.get("securityContext")) or own for container in _containers(pod)]
        without = [profile or "none" for profile in profiles if profile not in ("RuntimeDefault", "Localhost")]
        fine = not without or (by_default and all(profile == "none" for profile in without))
        findings.append(Finding(_name(pod), fine, f"profile {without[0]}" if without else "a profile of its own"))
    return findings


def _nodes_with_a_profile(evidence: Evidence) -> set[str]:
    """The kubelet keeps its flag apart from its configuration, and either will do."""
    by_flag = {
        node.name
        for node in evidence.nodes
        if flags_of(node.lines.get("kubelet", ""), "kubelet").get("seccomp-default") == "true"
    }
    return by_flag | {name for name, told in evidence.api.kubelets.items() if told.get("seccompDefault") is True}


def security_contexts(check: Mapping[str, Any], evidence: Evidence) -> list[Finding]:
    """Every container forbids gaining privileges."""
    findings = []
    for pod in evidence.api.all("pods"):
        without = [
            container["name"]
            for container in _containers(pod)
            if (container.get("securityContext") or {}).get("allowPrivilegeEscalation") is not False
        ]
        seen = f"{', '.join(without)} may gain privileges" if without else "no container may gain privileges"
        findings.append(Finding(_name(pod), not without, seen))
    return findings


def _name(pod: Object) -> str:
    return f"pod/{pod['metadata']['namespace']}/{pod['metadata']['name']}"


def _containers(pod: Object) -> list[Object]:
    spec = pod["spec"]
    return [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]


def _variables(container: Object) -> Iterator[Object]:
    yield from container.get("envFrom") or ()
    for variable in container.get("env") or ():
        yield variable.get("valueFrom") or {}


def _from_secret(source: Object) -> bool:
    return "secretRef" in source or "secretKeyRef" in source


def _profile(context: Object | None) -> str | None:
    return ((context or {}).get("seccompProfile") or {}).get("type")
