# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Section 7: three servers on an external etcd with client certificates."""

from __future__ import annotations

import hashlib

import pytest

from .clusters import Cluster
from .lines import contract
from .site import SECRETS, TOKEN

TLS = "/var/lib/rancher/k3s/server/tls"


@contract("7", "S")
def test_three_servers_started_at_the_same_instant_on_an_empty_datastore_are_one_cluster(main: Cluster) -> None:
    for name in (
        "server-ca.crt",
        "client-ca.crt",
        "client-ca.key",
        "request-header-ca.crt",
        "service.key",
        "etcd/peer-ca.key",
    ):
        assert len({server.run(f"sha256sum < {TLS}/{name}") for server in main.servers}) == 1, name
    members = {node["metadata"]["name"] for node in main.first.api().get("/api/v1/nodes")["items"]}
    assert members == main.names


@contract("7", "S")
def test_one_of_them_made_the_data_and_the_others_waited(main: Cluster) -> None:
    journals = [server.whole_journal() for server in main.servers]
    locked = [journal for journal in journals if "Bootstrap key locked for initial create" in journal]
    waited = [
        journal for journal in journals if "Bootstrap key is locked - waiting for data to be populated" in journal
    ]
    assert len(locked) == 1, f"{len(locked)} servers locked the key, {len(waited)} waited"


@contract("7", "S")
def test_the_bootstrap_key_is_named_after_the_password_alone(main: Cluster) -> None:
    assert main.store.keys("/bootstrap/") == [f"/bootstrap/{hashlib.sha256(TOKEN.encode()).hexdigest()[:12]}"]


@contract("7", "S")
def test_the_api_keeps_its_data_below_registry(main: Cluster) -> None:
    assert "/registry/namespaces/kube-system" in main.store.keys("/registry/namespaces/")


@contract("7", "S")
def test_the_api_talks_to_every_member_itself(main: Cluster) -> None:
    for server in main.servers:
        arguments = server.command_line("kube-apiserver")
        assert f"--etcd-servers={main.store.endpoint}" in arguments, arguments
        for name, file in (("cafile", "ca.crt"), ("certfile", "client.crt"), ("keyfile", "client.key")):
            assert f"--etcd-{name}={SECRETS}/{file}" in arguments, name


@contract("7", "S")
@pytest.mark.parametrize("component", ["kube-scheduler", "kube-controller-manager"])
def test_one_server_leads_each_controller(main: Cluster, component: str) -> None:
    lease = main.first.api().get(f"/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/{component}")
    assert lease["spec"]["holderIdentity"].split("_")[0] in {server.name for server in main.servers}


@contract("7", "S")
def test_every_server_is_an_endpoint_of_the_api(main: Cluster) -> None:
    slices = main.first.api().get(
        "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices?labelSelector=kubernetes.io%2Fservice-name%3Dkubernetes"
    )["items"]
    found = {address for one in slices for endpoint in one["endpoints"] for address in endpoint["addresses"]}
    assert found == {server.address for server in main.servers}


@contract("7", "S, D")
def test_the_servers_have_no_role_of_etcd(main: Cluster) -> None:
    for node in main.first.api().get("/api/v1/nodes")["items"]:
        assert "node-role.kubernetes.io/etcd" not in node["metadata"]["labels"], node["metadata"]["name"]


@contract("1", "S")
def test_a_snapshot_of_an_external_datastore_fails(main: Cluster) -> None:
    done = main.first.attempt("timeout 30 /usr/local/bin/k3s etcd-snapshot save 2>&1")
    assert done.returncode not in (0, 124), done
