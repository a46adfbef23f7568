# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Section 9: agents, their load balancer, and what a node is called."""

from __future__ import annotations

import json
import re

import pytest

from tests.integration.kubernetes_remote import wait_until

from .clusters import Cluster
from .lines import contract
from .site import AGENT_TOKEN, Site, full_token

BALANCER = "/var/lib/rancher/k3s/agent/etc/k3s-agent-load-balancer.json"


@contract("9", "S")
@pytest.mark.parametrize("name", ["kubelet", "kubeproxy"])
def test_the_parts_of_an_agent_talk_to_its_own_load_balancer(main: Cluster, name: str) -> None:
    text = main.agents[0].run(f"cat /var/lib/rancher/k3s/agent/{name}.kubeconfig")
    assert "server: https://127.0.0.1:6444" in text, text[:300]


@contract("9", "S")
def test_the_parts_of_a_server_talk_to_itself(main: Cluster) -> None:
    text = main.first.run("cat /var/lib/rancher/k3s/agent/kubelet.kubeconfig")
    assert "server: https://127.0.0.1:6443" in text, text[:300]
    assert main.first.attempt(f"test -e {BALANCER}").returncode == 1


@contract("9", "S")
def test_the_load_balancer_learns_all_servers_and_writes_them_down(main: Cluster) -> None:
    agent = main.agents[0]
    wanted = {f"{server.address}:6443" for server in main.servers}
    wait_until(
        "the agent knows all servers",
        lambda: wanted <= set(json.loads(agent.run(f"cat {BALANCER}"))["ServerAddresses"]),
        60,
        lambda: agent.run(f"cat {BALANCER}"),
    )
    assert json.loads(agent.run(f"cat {BALANCER}"))["ServerURL"] == f"https://{main.first.address}:6443"


@contract("9", "S")
def test_the_load_balancer_is_logged(main: Cluster) -> None:
    journal = main.agents[0].whole_journal()
    found = re.search(
        r"Running load balancer k3s-agent-load-balancer 127\.0\.0\.1:6444 -> \[[^]]*\] \[default: ([^]]+)\]", journal
    )
    assert found and found[1] == f"{main.first.address}:6443", journal[:500]


@contract("9", "S")
def test_labels_of_the_file_are_on_the_node(main: Cluster) -> None:
    node = main.first.api().get(f"/api/v1/nodes/{main.agents[0].name}")
    assert node["metadata"]["labels"].get("contract.test/role") == "agent"


@contract("9", "S")
def test_taints_of_the_file_are_on_the_new_node(main: Cluster) -> None:
    taints = main.first.api().get(f"/api/v1/nodes/{main.agents[0].name}")["spec"].get("taints", [])
    assert {"key": "contract.test/reserved", "value": "yes", "effect": "PreferNoSchedule"} in taints, taints


@contract("9", "S")
def test_servers_are_labelled_control_plane_and_agents_are_not(main: Cluster) -> None:
    nodes = {
        node["metadata"]["name"]: node["metadata"]["labels"] for node in main.first.api().get("/api/v1/nodes")["items"]
    }
    for server in main.servers:
        assert nodes[server.name].get("node-role.kubernetes.io/control-plane") == "true", server.name
    assert "node-role.kubernetes.io/control-plane" not in nodes[main.agents[0].name]


@contract("9", "S")
def test_servers_have_no_control_plane_taint(main: Cluster) -> None:
    for node in main.first.api().get("/api/v1/nodes")["items"]:
        taints = {taint["key"] for taint in node["spec"].get("taints", [])}
        assert "node-role.kubernetes.io/control-plane" not in taints, node["metadata"]["name"]


@contract("9", "S")
@pytest.mark.parametrize("annotation", ["node-args", "node-env", "node-config-hash"])
def test_the_node_carries_the_annotation(main: Cluster, annotation: str) -> None:
    node = main.first.api().get(f"/api/v1/nodes/{main.first.name}")
    assert f"k3s.io/{annotation}" in node["metadata"]["annotations"]


@contract("9", "S", unconfirmed=True)
def test_the_annotations_mask_the_token(main: Cluster) -> None:
    for node in main.first.api().get("/api/v1/nodes")["items"]:
        assert "-password" not in json.dumps(node["metadata"]["annotations"]).replace("node-password", "")


@contract("9", "S")
def test_the_hash_of_a_node_password_is_kept_in_an_immutable_secret(main: Cluster) -> None:
    api = main.first.api()
    for name in main.names:
        secret = api.get(f"/api/v1/namespaces/kube-system/secrets/{name}.node-password.k3s")
        assert secret["immutable"] is True and secret["data"].get("hash"), name


@contract("9", "S", unconfirmed=True)
def test_a_label_that_a_kubelet_may_not_set_ends_it(main: Cluster, site: Site) -> None:
    ended = site.second.try_start(
        "agent",
        {
            "server": f"https://{main.first.address}:6443",
            "token": full_token(main.first, AGENT_TOKEN, "node"),
            "node-label": ["node-role.kubernetes.io/worker=true"],
            "kubelet-arg": site.second.host_arguments(),
        },
        seconds=30,
    )
    assert "unknown 'kubernetes.io' or 'k8s.io' labels specified with --node-labels" in ended.output, ended.output[
        -500:
    ]
