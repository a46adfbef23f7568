# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The proof of the bundle: a real cluster of its parts on a host that can reach nothing else."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes.client
import pytest

from tests.hosts import session_set

from .kubernetes_cluster import IMAGES, LANDING, Cluster, start_cluster
from .kubernetes_parts import API_SERVICE, DNS_SERVICE, DOMAIN, PROGRAMS
from .kubernetes_remote import Remote, wait_until

NAMESPACE = "default"


@pytest.fixture(scope="module")
def cluster(bundle_path: Path) -> Iterator[Cluster]:
    """One container host that runs the bundle's Kubernetes."""
    with session_set("proof", 1) as host_set:
        started = start_cluster(Remote(host_set, host_set.hosts[0]), bundle_path)
        # Pods are refused until the controllers have made this.
        wait_until("the default service account", lambda: has_account(started))
        yield started


@pytest.fixture(scope="module")
def names(cluster: Cluster) -> None:
    """CoreDNS from the bundle's chart, both replicas on the one node that there is."""
    cluster.helm(
        f"install coredns {LANDING}/coredns.tgz --namespace kube-system --set spread=preferred "
        f"--set clusterIP={DNS_SERVICE} --set clusterDomain={DOMAIN} --wait --timeout 3m"
    )


def test_the_cluster_runs_the_versions_that_the_bundle_names(cluster: Cluster, bundle_path: Path) -> None:
    (folder,) = {path.parent.name for path in bundle_path.glob("*/bin/kubernetes/*/kubernetes")}
    node = cluster.core.list_node().to_dict()["items"][0]["status"]["node_info"]
    assert kubernetes.client.VersionApi(cluster.api).get_code().git_version == f"v{folder}"
    assert node["kubelet_version"] == f"v{folder}"
    (folder,) = {path.parent.name for path in bundle_path.glob("*/bin/containerd/*/containerd")}
    assert node["container_runtime_version"] == f"containerd://{folder}"


def test_a_pod_of_the_bundles_image_runs_and_its_log_is_read(cluster: Cluster) -> None:
    with pod(cluster, "says", "say", "the house stands"):
        status = wait_for_phase(cluster, "says", "Succeeded")
        assert log(cluster, "says") == "the house stands\n"
        assert status["container_statuses"][0]["image_id"].endswith(cluster.image_ids["probe"])


@pytest.mark.usefixtures("names")
def test_a_pod_finds_the_api_by_its_name_through_coredns(cluster: Cluster) -> None:
    assert resolved(cluster, "finds-api", f"kubernetes.default.svc.{DOMAIN}") == [API_SERVICE]
    assert resolved(cluster, "finds-dns", f"kube-dns.kube-system.svc.{DOMAIN}") == [DNS_SERVICE]


@pytest.mark.usefixtures("names")
def test_a_name_outside_is_refused_at_once_without_an_uplink(cluster: Cluster) -> None:
    with pod(cluster, "looks-out", "resolve", "models.example.com"):
        status = wait_for_phase(cluster, "looks-out", "Failed")
        assert "no such host" in log(cluster, "looks-out")
    ended = status["container_statuses"][0]["state"]["terminated"]
    # Kubernetes counts in whole seconds; a resolver that waits for a timeout takes five.
    assert (ended["finished_at"] - ended["started_at"]).total_seconds() <= 2


def test_a_deleted_pod_is_gone_from_the_api_and_from_the_host(cluster: Cluster) -> None:
    with pod(cluster, "waits", "sleep"):
        status = wait_for_phase(cluster, "waits", "Running")
        identity = status["container_statuses"][0]["container_id"].removeprefix("containerd://")
        assert identity in cluster.containers()
        asked = time.monotonic()
        cluster.core.delete_namespaced_pod("waits", NAMESPACE)
        wait_until("the pod is gone", lambda: not exists(cluster, "waits"))
        # probe ends when told to; one that must be killed would take the whole grace period of 30 s.
        assert time.monotonic() - asked < 15
    wait_until("its container is gone", lambda: identity not in cluster.containers())


@pytest.mark.usefixtures("names")
def test_no_image_was_pulled_and_none_can_be(cluster: Cluster) -> None:
    pods = {event["involved_object"]["name"] for event in events(cluster, "Pulling")}
    assert pods <= {"pulls"}, f"these pods asked a registry: {pods}"
    assert events(cluster, "Started"), "no event of any pod: the line above proves nothing"
    listed = cluster.remote.run(f"{PROGRAMS}/ctr -n k8s.io images ls -q").split()
    assert {name for name in listed if not name.startswith("sha256:")} == {cluster.images[name] for name in IMAGES}

    # The registry in the images' names does not exist, and the host could not reach it if it did.
    with pod(cluster, "pulls", "sleep", policy="Always"):
        wait_until("the pull fails", lambda: bool(events(cluster, "Failed", "pulls")))
        assert "dial tcp" in events(cluster, "Failed", "pulls")[0]["message"]
        assert pod_status(cluster, "pulls")["phase"] == "Pending"


@contextlib.contextmanager
def pod(cluster: Cluster, name: str, *arguments: str, policy: str = "Never") -> Iterator[None]:
    """Have a pod of the probe image for a while; it is gone at the end, whatever happened."""
    container = kubernetes.client.V1Container(
        name="probe", image=cluster.images["probe"], image_pull_policy=policy, args=list(arguments)
    )
    description = kubernetes.client.V1Pod(
        metadata=kubernetes.client.V1ObjectMeta(name=name),
        spec=kubernetes.client.V1PodSpec(containers=[container], restart_policy="Never"),
    )
    cluster.core.create_namespaced_pod(NAMESPACE, description)
    try:
        yield
    finally:
        if exists(cluster, name):
            cluster.core.delete_namespaced_pod(name, NAMESPACE, grace_period_seconds=0)
            wait_until(f"{name} is gone", lambda: not exists(cluster, name))


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


def resolved(cluster: Cluster, pod_name: str, name: str) -> list[str]:
    """Return what a pod is told about a name."""
    with pod(cluster, pod_name, "resolve", name):
        wait_for_phase(cluster, pod_name, "Succeeded")
        return log(cluster, pod_name).split()


def has_account(cluster: Cluster) -> bool:
    """Say whether pods have an identity to run under."""
    accounts = cluster.core.list_namespaced_service_account(NAMESPACE).to_dict()["items"]
    return any(found["metadata"]["name"] == "default" for found in accounts)
