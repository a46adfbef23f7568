# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The proof of the bundle: a real cluster of its parts on a host that can reach nothing else."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import kubernetes.client
import pytest

from tests.hosts import session_set

from .containers_support import leaving_packets
from .kubernetes_cluster import IMAGES, LANDING, Cluster, Parts, start_cluster
from .kubernetes_parts import API_SERVICE, DNS_SERVICE, DOMAIN, PROGRAMS
from .kubernetes_pods import NAMESPACE, events, exists, has_account, log, pod, pod_status, says, wait_for_phase
from .kubernetes_remote import Remote, wait_until

OUTSIDE = "198.51.100.9"
"""An address of the block that is kept for documentation: nobody is there, and the way to it leads out."""

CHART = f"{LANDING}/coredns.tgz --namespace kube-system --set spread=preferred --set clusterIP={DNS_SERVICE}"


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
    """CoreDNS from the bundle's chart, both replicas on the one node that there is, under the strictest pod rules."""
    strict = {"pod-security.kubernetes.io/enforce": "restricted"}
    cluster.core.patch_namespace("kube-system", {"metadata": {"labels": strict}})
    cluster.helm(f"install coredns {CHART} --wait --timeout 3m")


@pytest.mark.parametrize(
    ("name", "file", "arguments"),
    [
        ("etcd", "etcd", ["--version"]),
        ("etcd", "etcdctl", ["version"]),
        ("etcd", "etcdutl", ["version"]),
        ("helm", "helm", ["version", "--short"]),
        ("kubernetes", "kubernetes", ["kubectl", "version", "--client"]),
        ("kubernetes", "kubernetes", ["kube-proxy", "--version"]),
        ("containerd", "containerd", ["--version"]),
        ("containerd", "containerd-shim-runc-v2", ["-v"]),
        ("containerd", "ctr", ["--version"]),
        ("cni-plugins", "bridge", []),
        ("cni-plugins", "portmap", []),
        ("runc", "runc", ["--version"]),
    ],
)
def test_every_version_of_a_program_says_that_it_is_that_version(
    bundle_path: Path, name: str, file: str, arguments: list[str]
) -> None:
    programs = Parts(bundle_path).programs(name, file)
    assert len(programs) == (2 if name in ("etcd", "kubernetes") else 1)
    for version, program in programs.items():
        ended = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60, check=True)
        assert version in ended.stdout + ended.stderr


@pytest.mark.parametrize(
    ("name", "file", "module"),
    [
        ("etcd", "etcd", "go.etcd.io/etcd/server/v3"),
        ("etcd", "etcdctl", "go.etcd.io/etcd/etcdctl/v3"),
        ("etcd", "etcdutl", "go.etcd.io/etcd/etcdutl/v3"),
        ("helm", "helm", "helm.sh/helm/v4"),
        ("kubernetes", "kubernetes", "k8s.io/kubernetes"),
        ("containerd", "containerd", "github.com/containerd/containerd/v2"),
        ("cni-plugins", "bridge", "github.com/containernetworking/plugins"),
    ],
)
def test_a_program_is_made_from_the_module_of_its_version(bundle_path: Path, name: str, file: str, module: str) -> None:
    # What a program says of itself is often only what the linker was told; this is what the compiler wrote down.
    for version, program in Parts(bundle_path).programs(name, file).items():
        read = subprocess.run(["go", "version", "-m", program], capture_output=True, text=True, timeout=60, check=True)
        assert f"\t{module}\tv{version}\t" in read.stdout
        assert "\tbuild\tCGO_ENABLED=0\n" in read.stdout


def test_the_cluster_runs_the_versions_that_the_bundle_names(cluster: Cluster, bundle_path: Path) -> None:
    parts = Parts(bundle_path)
    kubernetes_version = parts.newest("kubernetes", "kubernetes").parent.name
    (containerd_version,) = parts.programs("containerd", "containerd")
    node = cluster.core.list_node().to_dict()["items"][0]["status"]["node_info"]
    assert kubernetes.client.VersionApi(cluster.api).get_code().git_version == f"v{kubernetes_version}"
    assert node["kubelet_version"] == f"v{kubernetes_version}"
    assert node["container_runtime_version"] == f"containerd://{containerd_version}"


def test_a_pod_of_the_bundles_image_runs_and_its_log_is_read(cluster: Cluster) -> None:
    with pod(cluster, "says", "say", "the house stands"):
        status = wait_for_phase(cluster, "says", "Succeeded")
        assert log(cluster, "says") == "the house stands\n"
        assert status["container_statuses"][0]["image_id"].endswith(cluster.image_ids["probe"])


@pytest.mark.parametrize(
    ("image", "arguments", "expected"),
    [
        ("metrics-server", ["--version"], "v{version}"),
        ("local-path-provisioner", ["--version"], "v{version}"),
        ("coredns", ["-version"], "CoreDNS-{version}"),
        # What the provisioner's script does with a volume.
        ("local-path-helper", ["-c", "mkdir -m 0777 -p /volumes/one && rm -rf /volumes/one && echo done"], "done"),
    ],
)
def test_the_other_images_start_as_pods(cluster: Cluster, image: str, arguments: list[str], expected: str) -> None:
    version = cluster.images[image].rpartition(":")[2]
    assert expected.format(version=version) in says(cluster, f"starts-{image}", *arguments, image=image)


def test_pause_buries_the_orphans_of_a_pod_that_shares_its_processes(cluster: Cluster) -> None:
    script = "(sleep 1 &); sleep 3; for one in /proc/[0-9]*/stat; do read -r line < $one && echo $line; done"
    listed = says(cluster, "orphans", "-c", script, image="local-path-helper", shared=True)
    assert "1 (pause) S" in listed
    assert ") Z " not in listed


@pytest.mark.usefixtures("names")
def test_a_pod_finds_the_api_by_its_name_through_coredns(cluster: Cluster) -> None:
    assert says(cluster, "finds-api", "resolve", f"kubernetes.default.svc.{DOMAIN}").split() == [API_SERVICE]
    assert says(cluster, "finds-dns", "resolve", f"kube-dns.kube-system.svc.{DOMAIN}").split() == [DNS_SERVICE]


@pytest.mark.usefixtures("names")
def test_a_name_outside_is_refused_at_once_without_an_uplink(cluster: Cluster) -> None:
    with pod(cluster, "looks-out", "resolve", "models.example.com"):
        status = wait_for_phase(cluster, "looks-out", "Failed")
        assert "no such host" in log(cluster, "looks-out")
    ended = status["container_statuses"][0]["state"]["terminated"]
    # One resolver that waits for a timeout takes five seconds before it says anything else.
    assert (ended["finished_at"] - ended["started_at"]).total_seconds() < 5


@pytest.mark.usefixtures("names")
def test_the_chart_takes_upstreams_and_refuses_a_value_that_it_does_not_know(cluster: Cluster) -> None:
    cluster.helm(f"upgrade coredns {CHART} --set upstreams={{192.0.2.53}} --wait --timeout 3m")
    try:
        # The names of the cluster do not wait for an upstream that never answers.
        assert says(cluster, "still-finds", "resolve", f"kubernetes.default.svc.{DOMAIN}").split() == [API_SERVICE]
    finally:
        cluster.helm("rollback coredns 1 --namespace kube-system --wait --timeout 3m")
    with pytest.raises(AssertionError, match="spread"):
        cluster.helm(f"upgrade coredns {CHART} --set spread=somewhere")
    cluster.helm(f"lint --strict {LANDING}/coredns.tgz")


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


def test_nothing_that_a_pod_sends_leaves_the_machine(cluster: Cluster) -> None:
    with leaving_packets(OUTSIDE) as seen:
        # First the proof that such a packet would be seen: this machine itself sends one.
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"x", (OUTSIDE, 53))
        wait_until("the machine's own packet leaves", lambda: seen() == 1)
        script = f"ping -c 2 -W 1 {OUTSIDE}; nc -w 1 {OUTSIDE} 443 < /dev/null || echo no way"
        assert "no way" in says(cluster, "sends", "-c", script, image="local-path-helper")
        assert seen() == 1
