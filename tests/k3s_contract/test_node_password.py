# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sections 6 and 9: a node joins by a bootstrap token, and is then the only one of its name."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.kubernetes_remote import wait_until

from .clusters import Cluster
from .lines import contract
from .node import DATA, Node
from .site import TOKEN, Site, install, wait_ready

PASSWORD = "/etc/rancher/node/password"
REJECTED = (
    "Node password rejected, duplicate hostname or contents of '/etc/rancher/node/password' may not match server "
    "node-passwd entry, try enabling a unique node name with the --with-node-id flag"
)


@pytest.fixture(scope="module")
def joined(site: Site, solo: Cluster) -> Iterator[Node]:
    """A node that joined the lone server by a bootstrap token; it is gone at the end."""
    node, server = site.second, solo.first
    node.wipe()
    install(site.inputs, node)
    token = server.k3s("token create --ttl 1h").strip()
    join(node, server, token)
    yield node
    node.wipe()
    server.kubectl(f"delete node {node.name} --ignore-not-found")
    install(site.inputs, node)


def join(node: Node, server: Node, token: str, **more: object) -> None:
    """Configure an agent and start it."""
    node.configure(
        {
            "server": f"https://{server.address}:6443",
            "token": token,
            "kubelet-arg": node.host_arguments(),
            **more,
        }
    )
    node.start()


@contract("6", "S, D")
def test_an_agent_joins_by_a_bootstrap_token(joined: Node, solo: Cluster) -> None:
    joined.wait_active()
    wait_ready(solo.first, {joined.name})


@contract("9", "S")
def test_a_rebuilt_node_of_the_same_name_is_refused(joined: Node, solo: Cluster) -> None:
    server = solo.first
    joined.wait_active()
    joined.stop()
    joined.run(f"rm -rf {PASSWORD} {DATA}/agent/*.crt {DATA}/agent/*.key {DATA}/agent/*.kubeconfig")
    place, there = joined.mark(), server.mark()
    joined.start()
    line = joined.wait_logged("Node password rejected", place, 60)
    assert REJECTED in line, line
    assert "Waiting to retrieve agent configuration; server is not ready" in line, line
    assert joined.show("ActiveState") == "activating"
    server.wait_logged(f"unable to verify password for node {joined.name}: hash does not match", there, 20)


@contract("9", "S")
def test_a_second_host_of_the_same_name_is_refused(joined: Node, solo: Cluster, site: Site) -> None:
    other = site.agent
    ended = other.try_start(
        "agent",
        {
            "server": f"https://{solo.first.address}:6443",
            "token": TOKEN,
            "node-name": joined.name,
            # The host runs an agent of another cluster, whose ports are taken.
            "lb-server-port": 6544,
        },
        seconds=15,
    )
    assert ended.code == 124 and "Node password rejected, duplicate hostname" in ended.output, ended


@contract("9", "S", unconfirmed=True)
def test_the_secret_goes_with_the_node_and_lets_it_in_again(joined: Node, solo: Cluster) -> None:
    server = solo.first
    secret = f"/api/v1/namespaces/kube-system/secrets/{joined.name}.node-password.k3s"
    server.kubectl(f"delete node {joined.name} --ignore-not-found")
    wait_until("the secret is gone", lambda: server.api().status(secret) == 404, 30)
    joined.wait_active(120)
    wait_ready(server, {joined.name})


@contract("9", "S")
def test_deleting_the_secret_lets_a_rebuilt_node_in_again(joined: Node, solo: Cluster) -> None:
    server = solo.first
    server.kubectl(f"-n kube-system delete secret {joined.name}.node-password.k3s --ignore-not-found")
    joined.wait_active(120)
    wait_ready(server, {joined.name})
