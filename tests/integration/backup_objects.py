# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every object of a cluster, as what must be the same after a restore."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.hosts import Host
from tests.site import Site

KUBECTL = "/usr/local/bin/k3s kubectl --kubeconfig /etc/rancher/k3s/k3s.yaml"
# What a cluster writes anew all the time: heartbeats, endpoints that follow pods, events, measurements.
PASSING = (
    "componentstatuses",
    "endpoints",
    "endpointslices.discovery.k8s.io",
    "events",
    "events.events.k8s.io",
    "leases.coordination.k8s.io",
    "nodes.metrics.k8s.io",
    "pods.metrics.k8s.io",
)
# These must be the same ones; what is in them is the hosts' own, and changes with each start.
SAME_ONE = ("Node", "Pod", "APIService", "Addon", "CSINode", "IPAddress")
# Written anew by each k3s: the certificate of the supervisor's own listener.
REWRITTEN = ("Secret/kube-system/k3s-serving",)
OWN_TO_STORE = ("resourceVersion", "managedFields", "generation")


def everything(site: Site, host: Host) -> dict[str, Any]:
    """Each object by kind, namespace and name; the objects of all groups that can be listed."""
    names = site.ssh(host, f"{KUBECTL} api-resources --verbs=list -o name").split()
    wanted = ",".join(name for name in names if name not in PASSING)
    listed = json.loads(site.ssh(host, f"{KUBECTL} get {wanted} --all-namespaces -o json --chunk-size=0", 120))
    return dict(_told(listed["items"]))


def _told(items: list[dict[str, Any]]) -> Iterator[tuple[str, Any]]:
    for item in items:
        metadata = item["metadata"]
        kind = item["kind"]
        key = "/".join(part for part in (kind, metadata.get("namespace", ""), metadata["name"]) if part)
        # A new node password is what a blank host has instead of the old one.
        if key.endswith(".node-password.k3s"):
            continue
        if kind == "Pod":
            # A controller may have to put one in the place of another.
            owner = metadata.get("ownerReferences", [{"name": metadata["name"]}])[0]
            key = f"Pod/{metadata['namespace']}/of {owner['name']}"
            metadata = {"uid": owner.get("uid") or metadata["uid"]}
        if kind in SAME_ONE or key in REWRITTEN:
            yield key, metadata["uid"]
            continue
        left = {name: value for name, value in item.items() if name not in ("status", "metadata")}
        left["metadata"] = {name: value for name, value in metadata.items() if name not in OWN_TO_STORE}
        yield key, left


def differences(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """What is not as it was, each with what it was and what it is."""
    found = [f"{key} is gone" for key in sorted(before.keys() - after.keys())]
    found += [f"{key} is new" for key in sorted(after.keys() - before.keys())]
    return found + [
        f"{key} was {json.dumps(before[key], sort_keys=True)} and is {json.dumps(after[key], sort_keys=True)}"
        for key in sorted(before.keys() & after.keys())
        if before[key] != after[key]
    ]
