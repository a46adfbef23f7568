# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sections 8, 11 and 12: how components are started, what is deployed, and what differs from upstream."""

from __future__ import annotations

import json
import re
from functools import partial
from typing import Any

import pytest

from tests.integration.kubernetes_remote import wait_until

from .clusters import DISABLED, MANIFESTS, Cluster, manifest
from .lines import contract
from .node import Node
from .workloads import node_port, pods

API = {
    "authorization-mode": "Node,RBAC",
    "anonymous-auth": "false",
    "profiling": "false",
    "enable-bootstrap-token-auth": "true",
    "allow-privileged": "true",
    "service-account-issuer": "https://kubernetes.default.svc.cluster.local",
    "kubelet-preferred-address-types": "InternalIP,ExternalIP,Hostname",
    "service-cluster-ip-range": "10.43.0.0/16",
    "service-node-port-range": "30000-32767",
    "bind-address": "127.0.0.1",
    "secure-port": "6444",
}
CONTROLLERS = {
    "bind-address": "127.0.0.1",
    "profiling": "false",
    "use-service-account-credentials": "true",
    "cluster-cidr": "10.42.0.0/16",
}
LISTENERS = {"127.0.0.1:6444": "API", "127.0.0.1:10257": "controller-manager", "127.0.0.1:10259": "scheduler"}
KUBELET = {
    "failSwapOn": False,
    "serializeImagePulls": False,
    "readOnlyPort": 0,
    "streamingConnectionIdleTimeout": "4h0m0s",
    "healthzBindAddress": "127.0.0.1",
    "clusterDNS": ["10.43.0.10"],
    "clusterDomain": "cluster.local",
}


@contract("12", "S")
@pytest.mark.parametrize("flag", API)
def test_the_api_is_started_with_the_default(main: Cluster, flag: str) -> None:
    assert f"--{flag}={API[flag]}" in main.first.command_line("kube-apiserver")


@contract("12", "S")
@pytest.mark.parametrize("flag", CONTROLLERS)
def test_the_controller_manager_is_started_with_the_default(main: Cluster, flag: str) -> None:
    assert f"--{flag}={CONTROLLERS[flag]}" in main.first.command_line("kube-controller-manager")


@contract("12", "S")
def test_the_controller_manager_also_cleans_tokens(main: Cluster) -> None:
    line = " ".join(main.first.command_line("kube-controller-manager"))
    found = re.search(r"--controllers=(\S+)", line)
    assert found and {"*", "tokencleaner"} <= set(found[1].split(",")), line


@contract("12", "S")
def test_the_api_offers_six_ciphers_of_tls_1_2(main: Cluster) -> None:
    found = re.search(r"--tls-cipher-suites=(\S+)", " ".join(main.first.command_line("kube-apiserver")))
    assert found, "no --tls-cipher-suites"
    suites = found[1].split(",")
    assert len(suites) == 6, suites
    assert all("ECDHE" in suite and ("GCM" in suite or "CHACHA20" in suite) for suite in suites), suites


@contract("12", "S")
def test_the_audiences_of_tokens_add_k3s(main: Cluster) -> None:
    found = re.search(r"--api-audiences=(\S+)", " ".join(main.first.command_line("kube-apiserver")))
    assert found and "k3s" in found[1].split(","), found


@contract("12", "S")
def test_arguments_are_logged_sorted(main: Cluster) -> None:
    for component in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy"):
        names = [argument.partition("=")[0] for argument in main.first.command_line(component)]
        assert names == sorted(names), component


@contract("12", "S")
def test_a_plus_in_an_argument_adds_after_the_default(main: Cluster) -> None:
    line = " ".join(main.first.command_line("kube-apiserver"))
    assert "--enable-admission-plugins=NodeRestriction --enable-admission-plugins=DefaultStorageClass" in line, line


@contract("12", "S")
def test_a_repeated_argument_passes_every_time(main: Cluster) -> None:
    line = " ".join(main.first.command_line("kube-apiserver"))
    assert "--audit-log-maxage=7 --audit-log-maxage=9" in line, line


@contract("12", "S")
def test_a_bare_argument_is_true_and_replaces_the_default(main: Cluster) -> None:
    arguments = main.first.command_line("kube-scheduler")
    assert "--profiling=true" in arguments and "--profiling=false" not in arguments, arguments


@contract("12", "S")
def test_leading_hyphens_of_an_argument_are_optional(main: Cluster) -> None:
    assert "--terminated-pod-gc-threshold=100" in main.first.command_line("kube-controller-manager")


@contract("12", "S")
def test_an_argument_reaches_the_kubelet(main: Cluster) -> None:
    node = main.first.api().get(f"/api/v1/nodes/{main.first.name}")
    assert node["status"]["capacity"]["pods"] == "60"


@contract("8", "S")
@pytest.mark.parametrize("where", LISTENERS)
def test_a_component_listens_on_loopback_only(main: Cluster, where: str) -> None:
    listening = main.first.run("ss -Hltn").split()
    port = where.partition(":")[2]
    assert {entry for entry in listening if entry.endswith(f":{port}")} == {where}, LISTENERS[where]


@contract("8", "S")
def test_the_listener_of_a_server_is_open_on_all_addresses(main: Cluster) -> None:
    listening = main.first.run("ss -Hltn").split()
    assert {"*:6443", "0.0.0.0:6443", "[::]:6443"} & set(listening), listening


@contract("12", "S")
@pytest.mark.parametrize("key", KUBELET)
def test_the_kubelet_is_configured_with(main: Cluster, key: str) -> None:
    found = kubelet_configuration(main)
    # What is zero is left out of the answer.
    assert found.get(key, 0) == KUBELET[key]


@contract("12", "S")
def test_the_kubelet_evicts_for_disk_only(main: Cluster) -> None:
    found = kubelet_configuration(main)
    assert found["evictionHard"] == {"imagefs.available": "5%", "nodefs.available": "5%"}
    assert found["evictionMinimumReclaim"] == {"imagefs.available": "10%", "nodefs.available": "10%"}


@contract("12", "S")
def test_the_kubelet_lets_nobody_in_without_a_name(main: Cluster) -> None:
    found = kubelet_configuration(main)
    assert found["authentication"]["anonymous"]["enabled"] is False
    assert found["authorization"]["mode"] == "Webhook"


def kubelet_configuration(main: Cluster) -> dict[str, Any]:
    """Return what the kubelet itself says that it runs with."""
    answer = main.first.api().get(f"/api/v1/nodes/{main.first.name}/proxy/configz")
    return dict(answer["kubeletconfig"])


@contract("11", "S, D")
@pytest.mark.parametrize("name", ["coredns.yaml", "local-storage.yaml", "rolebindings.yaml"])
def test_a_packaged_manifest_is_there(main: Cluster, name: str) -> None:
    assert main.first.attempt(f"test -s {MANIFESTS}/{name}").returncode == 0


@contract("11", "S, D")
@pytest.mark.parametrize("name", [name for name in DISABLED if name != "servicelb"])
def test_a_disabled_manifest_is_not_there(main: Cluster, name: str) -> None:
    assert main.first.run(f"find {MANIFESTS} -path '*{name}*' -name '*.yaml'").strip() == ""


@contract("11", "D")
def test_the_names_of_services_resolve_by_coredns(main: Cluster) -> None:
    api = main.first.api()

    def ready() -> bool:
        items = api.get("/apis/apps/v1/namespaces/kube-system/deployments")["items"]
        return any(item["metadata"]["name"] == "coredns" and item["status"].get("readyReplicas") for item in items)

    wait_until("coredns is ready", ready, 90, main.first.journal)
    service = api.get("/api/v1/namespaces/kube-system/services/kube-dns")
    assert service["spec"]["clusterIP"] == "10.43.0.10"
    # A node learns of the endpoint after the API did, and a datagram may be lost: ask again, as resolvers do.
    for node in (main.first, main.agents[0]):
        wait_until(f"CoreDNS answers {node.name}", partial(answered, node), 40, node.journal)


def answered(node: Node) -> bool:
    asked = DNS_QUESTION.format(name="steady.default.svc.cluster.local")
    return node.attempt(f"python3 -c '{asked}'").stdout.strip() == "answered"


# One question for an A record by hand: the hosts have no tool for it.
DNS_QUESTION = (
    'import socket,struct; name="{name}"; '
    'question=struct.pack(">6H",7,256,1,0,0,0)+b"".join(bytes([len(p)])+p.encode() for p in name.split("."))'
    '+b"\\0"+struct.pack(">2H",1,1); s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.settimeout(5); '
    's.sendto(question,("10.43.0.10",53)); answer=s.recv(512); '
    'print("answered" if answer[3]&15==0 and answer[7]>0 else answer)'
)


@contract("11", "D")
def test_pods_of_all_nodes_reach_each_other_through_any_node(main: Cluster) -> None:
    port, agent = node_port(main.first.api()), main.agents[0]
    said = {agent.fetch(f"http://{agent.address}:{port}/") for _time in range(40)}
    names = {pod["metadata"]["name"] for pod in pods(main.first.api())}
    assert said == names, f"asked forty times, heard {sorted(said)} of {sorted(names)}"


@contract("11", "D")
def test_every_node_has_a_range_of_the_pods_network(main: Cluster) -> None:
    nodes = main.first.api().get("/api/v1/nodes")["items"]
    ranges = [node["spec"]["podCIDR"] for node in nodes]
    assert len(set(ranges)) == len(nodes) and all(one.startswith("10.42.") for one in ranges), ranges
    assert "FLANNEL_NETWORK=10.42.0.0/16" in main.first.run("cat /run/flannel/subnet.env")


@contract("11", "S")
def test_flannel_uses_vxlan_by_default(main: Cluster) -> None:
    document = json.loads(main.first.run("cat /var/lib/rancher/k3s/agent/etc/flannel/net-conf.json"))
    assert document["Backend"]["Type"] == "vxlan" and document["Network"] == "10.42.0.0/16", document
    assert main.first.attempt("ip link show flannel.1").returncode == 0


@contract("11", "D")
def test_an_own_manifest_is_applied_at_start_and_tracked(solo: Cluster) -> None:
    api = solo.first.api()
    wait_until("the manifest is applied", lambda: api.status(CONFIG_MAP.format("contract-one")) == 200, 60)
    addons = api.get("/apis/k3s.cattle.io/v1/namespaces/kube-system/addons")["items"]
    assert "contract-one" in {addon["metadata"]["name"] for addon in addons}


CONFIG_MAP = "/api/v1/namespaces/default/configmaps/{}"


@contract("11", "D")
def test_a_skip_file_keeps_a_manifest_from_being_applied(solo: Cluster) -> None:
    api = solo.first.api()
    wait_until("the manifests are applied", lambda: api.status(CONFIG_MAP.format("contract-one")) == 200, 60)
    assert api.status(CONFIG_MAP.format("contract-skipped")) == 404


@contract("11", "D")
def test_a_changed_manifest_is_applied_again_and_a_deleted_one_deletes_nothing(solo: Cluster) -> None:
    server, path = solo.first, CONFIG_MAP.format("contract-two")
    api = server.api()
    server.remote.place({f"{MANIFESTS}/contract-two.yaml": manifest("contract-two").encode()})
    wait_until("the new manifest is applied", lambda: api.status(path) == 200, 60)
    # What is placed has no time of its own, and the time is what tells a change.
    server.remote.place({f"{MANIFESTS}/contract-two.yaml": manifest("contract-two", "second").encode()})
    server.run(f"touch {MANIFESTS}/contract-two.yaml")
    wait_until("the change is applied", lambda: api.get(path)["data"]["value"] == "second", 60)
    server.run(f"rm {MANIFESTS}/contract-two.yaml")
    # k3s looks at the folder every 15 seconds.
    server.sleep(16)
    assert api.status(path) == 200
