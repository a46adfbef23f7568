# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Three servers on an external etcd: from blank hosts through a second run, refusals and a minor version, under writes.

The tests are one story and run in the order in which they stand.
"""

from __future__ import annotations

import socket
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.integration.kubernetes_remote import wait_until
from tests.k3s_contract.api import Api, ApiError
from tests.playbook import Run
from tests.site import Site, site_hosts

OLD, NEW = "1.35.8+k3s1", "1.36.4+k3s1"
SERVERS = "tests/integration/k3s_servers.yml"
PROBE = "registry.holdfast.internal/probe:0.1.0"
OURS = {"holdfast.test/leaves": "yes", "holdfast.test/stays": "1"}
POLICY = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "runAsUser": 65532,
    "seccompProfile": {"type": "RuntimeDefault"},
}


@pytest.fixture(scope="module")
def site(bundle_path: Path) -> Iterator[Site]:
    """Blank hosts, told to run the older version, with a label that a later test takes away."""
    assert bundle_path.is_dir()
    wish = {
        "k3s_version": OLD,
        "k3s_node_metrics_address": "0.0.0.0",
        "k3s_node_labels": OURS,
        "k3s_node_images": ["coredns", "probe"],
        "site_hardening": False,
    }
    with site_hosts("k3s-servers", variables=wish, network="10.93.0.0/24", disk_gb=6) as made:
        yield made


def api(site: Site, number: int = 0) -> Api:
    host = site.servers[number]
    return Api.from_kubeconfig(site.ssh(host, "cat /etc/rancher/k3s/k3s.yaml"), host.address)


def good(run: Run) -> Run:
    assert run.rc == 0, "\n".join(run.failures) or run.stdout[-4000:]
    return run


def starts(site: Site) -> dict[str, str]:
    """When the service of each server was started: no restart without a word."""
    command = "systemctl show -p ExecMainStartTimestampMonotonic --value k3s"
    return {host.name: site.ssh(host, command).strip() for host in site.servers}


def pods(client: Api, selector: str, namespace: str = "kube-system") -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = client.get(f"/api/v1/namespaces/{namespace}/pods?labelSelector={selector}")["items"]
    return items


def is_ready(thing: dict[str, Any]) -> bool:
    found = thing.get("status", {}).get("conditions", [])
    return any(one["type"] == "Ready" and one["status"] == "True" for one in found)


def test_a_check_of_blank_hosts_writes_nothing(site: Site) -> None:
    good(site.run("playbooks/site.yml", cmdline="--check --diff"))
    for host in site.servers:
        left = site.ssh(
            host, "ls -d /etc/rancher /etc/holdfast /usr/local/lib/holdfast /usr/local/bin/k3s 2>/dev/null || true"
        )
        assert left == ""


def test_the_first_run_ends_with_nodes_that_are_ready(site: Site) -> None:
    run = good(site.run("playbooks/site.yml"))
    assert "k3s-token" not in run.stdout
    nodes = {item["metadata"]["name"]: item for item in api(site).get("/api/v1/nodes")["items"]}
    assert set(nodes) == {host.name for host in site.servers}
    for node in nodes.values():
        assert is_ready(node)
        labels = node["metadata"]["labels"]
        assert OURS.items() <= labels.items()
        assert labels["edge"] == "true"
        assert labels["topology.kubernetes.io/region"] == "default"


def test_tokens_are_in_private_files_only(site: Site) -> None:
    """Trap 1: the token is there before the first start, in a file of its own."""
    token = (site.secrets / "k3s-token").read_text(encoding="utf-8").strip()
    for host in site.servers:
        assert site.ssh(host, "stat -c %a /etc/rancher/k3s/token /etc/rancher/k3s/config.yaml").split() == [
            "600",
            "600",
        ]
        seen = site.ssh(
            host,
            "cat /etc/systemd/system/k3s.service* /etc/rancher/k3s/config.yaml; ps -eo args; journalctl -b --no-pager",
        )
        assert token not in seen


def test_the_second_run_changes_nothing_in_few_tasks(site: Site) -> None:
    before = starts(site)
    run = good(site.run(SERVERS))
    assert set(run.changed.values()) <= {0}
    assert max(run.ok.values()) <= 12
    assert starts(site) == before


def test_names_resolve_through_two_replicas_on_different_nodes(site: Site) -> None:
    """Trap 11: CoreDNS is ours, so no restart takes a replica away."""
    client = api(site)
    wait_until(
        "CoreDNS is ready", lambda: len([p for p in pods(client, "k8s-app%3Dkube-dns") if is_ready(p)]) == 2, 120
    )
    assert len({pod["spec"]["nodeName"] for pod in pods(client, "k8s-app%3Dkube-dns")}) == 2
    container = {
        "name": "only",
        "image": PROBE,
        "imagePullPolicy": "Never",
        "args": ["resolve", "kubernetes.default.svc.cluster.local"],
        "securityContext": POLICY,
    }
    body = {"metadata": {"name": "asks"}, "spec": {"containers": [container], "restartPolicy": "Never"}}
    path = "/api/v1/namespaces/default/pods"
    client.post(path, {"apiVersion": "v1", "kind": "Pod", **body})
    wait_until("the name was asked for", lambda: client.get(f"{path}/asks")["status"]["phase"] != "Pending", 90)
    wait_until("it was answered", lambda: client.get(f"{path}/asks")["status"]["phase"] == "Succeeded", 60)
    assert client.ask("GET", f"{path}/asks/log").body.strip() == "10.43.0.1"
    client.delete(f"{path}/asks")


def test_metrics_are_told_where_the_site_wants_them(site: Site) -> None:
    """Trap 7: k3s keeps them on loopback unless it is told otherwise."""
    address = site.servers[0].address
    with urllib.request.urlopen(f"http://{address}:10249/metrics", timeout=10) as answer:
        assert b"kubeproxy_" in answer.read()
    for port in (10257, 10259):
        with socket.create_connection((address, port), timeout=10):
            pass


def test_a_node_without_an_uplink_gets_a_default_route_that_leads_nowhere(site: Site) -> None:
    """Trap 9: without any, k3s does not find the node's address."""
    host = site.servers[-1]
    unit, ask = "holdfast-default-route", "ip -4 route show default"
    interface = "/etc/rancher/k3s/config.yaml.d/20-holdfast-interface.yaml"
    real = site.ssh(host, ask).strip()
    assert "holdfast-route" not in real
    try:
        site.ssh(host, f"systemctl stop {unit}; ip route del default; systemctl start {unit}")
        assert "dev holdfast-route" in site.ssh(host, ask)
        # The network of pods is not behind it.
        assert site.ssh(host, f"cat {interface}").strip() == "flannel-iface: eth0"
        # A real one comes before it as soon as it is there.
        site.ssh(host, f"ip route add {real}")
        assert "dev eth0" in site.ssh(host, "ip -4 route get 198.51.100.1")
    finally:
        site.ssh(host, f"systemctl stop {unit}; ip route replace {real}; systemctl start {unit}")
    assert site.ssh(host, ask).strip() == real
    assert "No such file" in site.ssh(host, f"cat {interface} 2>&1 || true")


def test_pods_that_break_the_standard_are_refused(site: Site) -> None:
    body = {"metadata": {"name": "root"}, "spec": {"hostNetwork": True, "containers": [{"name": "x", "image": PROBE}]}}
    answer = api(site).ask("POST", "/api/v1/namespaces/default/pods", {"apiVersion": "v1", "kind": "Pod", **body})
    assert (answer.status, "PodSecurity" in answer.body) == (403, True)


def test_a_secret_is_encrypted_in_the_datastore(site: Site) -> None:
    """Trap 6: from the first start."""
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "hidden"},
        "stringData": {"a": "plain-text-of-it"},
    }
    api(site).post("/api/v1/namespaces/default/secrets", secret)
    pki, endpoint = "/etc/holdfast/k3s/etcd", f"https://{site.servers[0].address}:2379"
    identity = f"--cacert {pki}/ca.crt --cert {pki}/client.crt --key {pki}/client.key --endpoints {endpoint}"
    asked = f"etcdctl {identity} get /registry/secrets/default/hidden | tr -cd '[:print:]'"
    stored = site.ssh(site.servers[0], asked)
    assert "k8s:enc:aescbc" in stored
    assert "plain-text-of-it" not in stored


def test_what_would_do_harm_is_refused_with_all_faults_at_once(site: Site) -> None:
    """Traps 3 and 6, and what k3s skips or refuses itself."""
    before = starts(site)
    run = site.run(
        SERVERS,
        k3s_server_config={"tls-sans": ["x"], "data-dir": "/srv", "write-kubeconfig-mode": 420},
        k3s_server_secrets_encryption=False,
    )
    assert run.rc != 0
    told = " ".join(run.failures)
    assert "k3s server has no key tls-sans; did you mean tls-san?" in told
    assert "data-dir is decided by Holdfast" in told
    assert "an unquoted 0644 becomes another number" in told
    assert "secrets encryption is on in this cluster and was to be off" in told
    assert "Nothing was changed on any node" in told
    assert set(run.changed.values()) <= {0}
    assert starts(site) == before


def test_a_token_that_is_not_the_datastores_is_refused_before_damage(site: Site) -> None:
    path = site.secrets / "k3s-token"
    right = path.read_text(encoding="utf-8")
    path.write_text("another-token-of-another-cluster", encoding="utf-8")
    try:
        run = site.run(SERVERS)
    finally:
        path.write_text(right, encoding="utf-8")
    assert run.rc != 0
    assert "the datastore holds a cluster that was made with another token" in " ".join(run.failures)
    assert set(run.changed.values()) <= {0}


def test_an_unhealthy_member_stops_an_upgrade_before_it_begins(site: Site) -> None:
    before = starts(site)
    last = site.servers[-1]
    site.ssh(last, "systemctl stop etcd")
    try:
        run = site.run(SERVERS, k3s_node_gate_seconds=4, k3s_server_config={"debug": True})
    finally:
        site.ssh(last, "systemctl start etcd")
    assert run.rc != 0
    told = " ".join(run.failures)
    assert f"etcd at https://{last.address}:2379 is not healthy" in told
    assert "k3s was not touched" in told
    assert starts(site) == before


@contextmanager
def writes(site: Site) -> Iterator[list[str]]:
    """Objects are created all the time, at whichever server answers; gives the names that were acknowledged."""
    clients = [api(site, number) for number in range(len(site.servers))]
    acknowledged: list[str] = []
    ended = threading.Event()

    def work() -> None:
        number = 0
        while not ended.is_set():
            number += 1
            body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"write-{number}"}}
            for client in clients:
                try:
                    client.post("/api/v1/namespaces/default/configmaps", body)
                except (OSError, ApiError):
                    continue
                acknowledged.append(f"write-{number}")
                break
            time.sleep(0.2)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield acknowledged
    finally:
        ended.set()
        thread.join()


def test_a_minor_version_goes_through_one_node_at_a_time(site: Site) -> None:
    """With another setting and without a label; a label that left the inventory leaves the node too."""
    changed = site.with_variables(k3s_version=NEW, k3s_node_labels={"holdfast.test/stays": "1"})
    with writes(site) as acknowledged:
        run = good(changed.run(SERVERS, k3s_server_config={"kube-apiserver-arg": ["request-timeout=120s"]}))
    assert "Let pods in again, whatever happened" in run.stdout
    client = api(site)
    for node in client.get("/api/v1/nodes")["items"]:
        assert is_ready(node)
        assert not node["spec"].get("unschedulable")
        assert node["status"]["nodeInfo"]["kubeletVersion"].startswith("v1.36.4")
        assert "holdfast.test/leaves" not in node["metadata"]["labels"]
        assert node["metadata"]["labels"]["holdfast.test/stays"] == "1"
    items = client.get("/api/v1/namespaces/default/configmaps")["items"]
    assert set(acknowledged) <= {item["metadata"]["name"] for item in items}
    assert len(acknowledged) > 10
    # One after the other: each had become Ready before the next was stopped.
    times = sorted(int(text) for text in starts(site).values())
    assert min(later - sooner for sooner, later in zip(times, times[1:], strict=False)) > 3_000_000
    for host in site.servers:
        kept = site.ssh(host, "ls /var/lib/rancher/k3s/agent/images | grep airgap | wc -l").strip()
        assert kept == "1"


def test_a_downgrade_across_a_minor_is_refused(site: Site) -> None:
    run = site.with_variables(k3s_version=OLD).run(SERVERS)
    assert run.rc != 0
    assert f"k3s {OLD} is older than {NEW}, which runs, by a minor version" in " ".join(run.failures)
    assert set(run.changed.values()) <= {0}
