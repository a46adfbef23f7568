# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pods that live as long as one test asks something of them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import kubernetes.client

from .kubernetes_cluster import Cluster
from .kubernetes_remote import wait_until

NAMESPACE = "default"


@contextlib.contextmanager
def pod(
    cluster: Cluster, name: str, *arguments: str, image: str = "probe", policy: str = "Never", shared: bool = False
) -> Iterator[None]:
    """Have a pod of one of the bundle's images for a while; it is gone at the end, whatever happened."""
    container = kubernetes.client.V1Container(
        name="only", image=cluster.images[image], image_pull_policy=policy, args=list(arguments)
    )
    description = kubernetes.client.V1Pod(
        metadata=kubernetes.client.V1ObjectMeta(name=name),
        spec=kubernetes.client.V1PodSpec(
            containers=[container], restart_policy="Never", share_process_namespace=shared
        ),
    )
    cluster.core.create_namespaced_pod(NAMESPACE, description)
    try:
        yield
    finally:
        if exists(cluster, name):
            cluster.core.delete_namespaced_pod(name, NAMESPACE, grace_period_seconds=0)
            wait_until(f"{name} is gone", lambda: not exists(cluster, name))


def says(cluster: Cluster, name: str, *arguments: str, image: str = "probe", shared: bool = False) -> str:
    """Run a pod to its end, which must be a good one, and return its log."""
    with pod(cluster, name, *arguments, image=image, shared=shared):
        wait_for_phase(cluster, name, "Succeeded")
        return log(cluster, name)


def wait_for_phase(cluster: Cluster, name: str, wanted: str) -> dict[str, Any]:
    """Wait for a pod's phase and return its status."""
    wait_until(
        f"{name} is {wanted}",
        lambda: bool(pod_status(cluster, name)["phase"] == wanted),
        journal=lambda: f"{pod_status(cluster, name)}\n{cluster.journal('kubelet')}",
    )
    return pod_status(cluster, name)


def pod_status(cluster: Cluster, name: str) -> dict[str, Any]:
    """Return what the API says of a pod now."""
    return dict(cluster.core.read_namespaced_pod(name, NAMESPACE).to_dict()["status"])


def log(cluster: Cluster, name: str) -> str:
    """Return what a pod printed."""
    return str(cluster.core.read_namespaced_pod_log(name, NAMESPACE))


def exists(cluster: Cluster, name: str) -> bool:
    """Say whether the API still knows a pod."""
    pods = cluster.core.list_namespaced_pod(NAMESPACE).to_dict()["items"]
    return any(found["metadata"]["name"] == name for found in pods)


def events(cluster: Cluster, reason: str, name: str = "") -> list[dict[str, Any]]:
    """Return what happened for that reason, to one pod or to all."""
    chosen = f"reason={reason}" + (f",involvedObject.name={name}" if name else "")
    return list(cluster.core.list_event_for_all_namespaces(field_selector=chosen).to_dict()["items"])


def has_account(cluster: Cluster) -> bool:
    """Say whether pods have an identity to run under."""
    accounts = cluster.core.list_namespaced_service_account(NAMESPACE).to_dict()["items"]
    return any(found["metadata"]["name"] == "default" for found in accounts)
