# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The chart's `kind: Deployment` under the controllers and the scheduler of a real Kubernetes, but without kubelets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from .kubernetes_cluster import Parts
from .kubernetes_remote import wait_until
from .local_api import local_api
from .local_controllers import Pod, Workings, local_controllers
from .test_inference_chart import MIB, NAMESPACE, RELEASE, SHARED, helm, render

__all__ = ["helm"]

PATIENCE = 120.0
NODES = ("one", "two")
CLAIM = "models"


@pytest.fixture(scope="module")
def workings(bundle_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workings]:
    """A cluster of two nodes with a claim of the models."""
    parts, folder = Parts(bundle_path), tmp_path_factory.mktemp("cluster")
    etcd, kubernetes = (
        Path(max(parts.programs(*names).items())[1]) for names in (("etcd", "etcd"), ("kubernetes", "kubernetes"))
    )
    with local_api(etcd, kubernetes, folder) as api, local_controllers(api, folder, NODES):
        strict = {"pod-security.kubernetes.io/enforce": "restricted"}
        for name, labels in ((NAMESPACE, strict), ("holdfast-gateway", {})):
            namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}
            api.kubectl("apply", "-f", "-", given=yaml.safe_dump_all([namespace, *claim_in(name)]))
        yield Workings(api, NAMESPACE)


def claim_in(namespace: str) -> list[dict[str, Any]]:
    """A volume that many nodes can read, as a network's file system is one, and the claim of a namespace to it."""
    shared = {"accessModes": ["ReadOnlyMany"], "storageClassName": ""}
    volume = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": f"{CLAIM}-{namespace}"},
        "spec": {
            **shared,
            "capacity": {"storage": "1Gi"},
            "nfs": {"server": "192.0.2.1", "path": "/models", "readOnly": True},
            "claimRef": {"namespace": namespace, "name": CLAIM},
        },
    }
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": CLAIM, "namespace": namespace},
        "spec": {**shared, "resources": {"requests": {"storage": "1Gi"}}},
    }
    return [volume, claim]


def apply(workings: Workings, helm: Path, folder: Path, version: str) -> None:
    """Bring a version of the model, as a run of the role would."""
    models = {"models": {"shop": {"folder": f"shop/{version}", "memoryBytes": 200 * MIB}}}
    text = render(helm, folder, {**SHARED, "replicas": len(NODES)}, models)
    workings.api.kubectl("apply", "--server-side", "--validate=strict", "-f", "-", given=text)


def placed(pods: list[Pod]) -> list[str]:
    return sorted(pod["spec"].get("nodeName", "") for pod in pods)


def version_of(pod: Pod) -> str:
    return str(pod["metadata"]["labels"]["pod-template-hash"])


def test_each_engine_has_a_node_of_its_own_and_an_update_adds_before_it_takes_away(
    workings: Workings, helm: Path, tmp_path: Path
) -> None:
    apply(workings, helm, tmp_path, "1")
    wait_until("two engines on two nodes", lambda: placed(workings.pods()) == sorted(NODES), PATIENCE)
    (old,) = {version_of(pod) for pod in workings.pods()}
    for pod in workings.pods():
        workings.say_ready(pod)
    available = (
        "get",
        "deployment",
        RELEASE,
        "--namespace",
        NAMESPACE,
        "--output=jsonpath={.status.availableReplicas}",
    )
    wait_until("both available", lambda: workings.api.kubectl(*available) == "2", PATIENCE)

    apply(workings, helm, tmp_path, "2")
    for renewed in range(len(NODES)):
        renew_one(workings, old, renewed)
    wait_until("two new engines on two nodes", lambda: placed(workings.pods()) == sorted(NODES), PATIENCE)
    assert old not in {version_of(pod) for pod in workings.pods()}


def renew_one(workings: Workings, old: str, renewed: int) -> None:
    """After `renewed` others: the next one is placed, is ready, and only then an old one goes."""

    def newcomers() -> list[Pod]:
        return [pod for pod in workings.pods() if version_of(pod) != old]

    def is_placed() -> bool:
        return len(newcomers()) == renewed + 1 and "" not in placed(newcomers())

    def an_old_one_goes() -> bool:
        return len(workings.pods()) - len(newcomers()) < len(NODES) - renewed

    # No node is free, so the next one is placed beside an old one; and nobody goes before it is ready.
    wait_until("the next one is placed", is_placed, PATIENCE)
    assert len(workings.pods()) == len(NODES) + 1
    assert len(set(placed(newcomers()))) == renewed + 1
    for pod in newcomers():
        if not any(one["type"] == "Ready" and one["status"] == "True" for one in pod["status"]["conditions"]):
            workings.say_ready(pod)
    wait_until("an old one is told to go", an_old_one_goes, PATIENCE)
    workings.let_go()
