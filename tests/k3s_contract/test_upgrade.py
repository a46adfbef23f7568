# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Section 14: another version by replacing the file, forward with pods running and back with the data of that time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.integration.kubernetes_remote import wait_until

from .clusters import UPGRADE_PORT, Cluster
from .etcd import Store
from .inputs import Release
from .lines import contract
from .node import Node
from .site import TOKEN, Site, datastore, datastore_files, in_parallel, install, lean, wait_ready
from .workloads import container_ids, create_config_map, run_everywhere

DATA = "/var/lib/rancher/k3s/data"
SNAPSHOT = "/var/lib/etcd/before-upgrade"


@dataclass(frozen=True)
class Upgrade:
    """Two servers, the releases, and what was seen on the way."""

    servers: tuple[Node, Node]
    store: Store
    versions: dict[str, str]
    mixed: dict[str, str]
    unpacked: str
    containers_before: dict[str, str]
    containers_after: dict[str, str]


@pytest.fixture(scope="module")
def older(site: Site) -> Release:
    """The older release; without it these tests say what to set."""
    if site.inputs.older is None:
        pytest.skip("K3S_BINARY_OLDER is not set: name a k3s of one minor version less (or an older patch) to ask this")
    return site.inputs.older


def bring(node: Node, site: Site, release: Release) -> str:
    """Replace the binary by a rename, running or not, and return its version."""
    node.install(release, {f"contract-{site.inputs.test_image.name}": site.inputs.test_image})
    # A node tells the version of Kubernetes; whether k3s' own part follows is not in the contract.
    return node.k3s("--version").split()[2].partition("+")[0]


@pytest.fixture(scope="module")
def upgrade(site: Site, older: Release, solo: Cluster) -> Iterator[Upgrade]:
    """Start two servers of the older release, then bring the newer one to one after the other."""
    solo.first.stop()
    servers = (site.solo, Node(site.second.remote, "server"))
    store = Store(site.store_host, "upgrade", UPGRADE_PORT)
    in_parallel(lambda node: node.wipe(), servers)
    store.start()
    versions = {"older": "", "newer": ""}
    for node in servers:
        versions["older"] = bring(node, site, older)
        node.configure({**lean(node), **datastore(store), "token": TOKEN}, files=datastore_files(store))
    in_parallel(lambda node: node.start(), servers)
    in_parallel(lambda node: node.wait_active(), servers)
    first, second = servers
    wait_ready(first, {first.name, second.name})
    run_everywhere(first, site.inputs, {first.name, second.name})
    assert create_config_map(first.api(), "before-upgrade")
    before, unpacked = container_ids(first.api()), first.run(f"readlink {DATA}/current").strip()
    store.snapshot(SNAPSHOT)

    versions["newer"] = bring(first, site, site.inputs.release)
    first.restart_and_wait()
    mixed = kubelet_versions(first, {first.name: versions["newer"]})
    assert create_config_map(second.api(), "by-the-older") and create_config_map(first.api(), "by-the-newer")
    bring(second, site, site.inputs.release)
    second.restart_and_wait()
    wait_ready(first, {first.name, second.name})
    yield Upgrade(servers, store, versions, mixed, unpacked, before, container_ids(first.api()))
    in_parallel(lambda node: node.wipe(), servers)
    in_parallel(lambda node: install(site.inputs, node), servers)


def kubelet(node: dict[str, Any]) -> str:
    """Return the version of Kubernetes that a node tells."""
    return str(node["status"]["nodeInfo"]["kubeletVersion"]).partition("+")[0]


def kubelet_versions(server: Node, wanted: dict[str, str]) -> dict[str, str]:
    """Return each node's version once the wanted ones are told."""

    def told() -> dict[str, str]:
        items = server.api().get("/api/v1/nodes")["items"]
        return {item["metadata"]["name"]: kubelet(item) for item in items}

    wait_until(f"the nodes tell {wanted}", lambda: wanted.items() <= told().items(), 60, lambda: str(told()))
    return told()


@contract("14", "D")
def test_two_versions_work_side_by_side_for_the_time_of_the_roll(upgrade: Upgrade) -> None:
    first, second = upgrade.servers
    assert upgrade.mixed == {first.name: upgrade.versions["newer"], second.name: upgrade.versions["older"]}
    for server in upgrade.servers:
        for name in ("before-upgrade", "by-the-older", "by-the-newer"):
            assert server.api().status(f"/api/v1/namespaces/default/configmaps/{name}") == 200, name


@contract("14", "D")
def test_all_nodes_tell_the_new_version_after_the_roll(upgrade: Upgrade) -> None:
    newer = upgrade.versions["newer"]
    assert newer != upgrade.versions["older"], "K3S_BINARY and K3S_BINARY_OLDER are the same version"
    kubelet_versions(upgrade.servers[0], {server.name: newer for server in upgrade.servers})


@contract("14", "D")
def test_pods_survive_an_upgrade(upgrade: Upgrade) -> None:
    assert upgrade.containers_after == upgrade.containers_before


@contract("1", "S")
@contract("14", "D")
def test_current_is_the_new_version_and_previous_the_former(upgrade: Upgrade) -> None:
    for server in upgrade.servers:
        current = server.run(f"readlink {DATA}/current").strip()
        assert current != upgrade.unpacked
        assert server.run(f"readlink {DATA}/previous").strip() == upgrade.unpacked
        assert server.attempt(f"test -d {DATA}/previous/").returncode == 0


@contract("14", "S", unconfirmed=True)
def test_an_older_binary_does_not_refuse_the_data_directory_of_a_newer_one(
    upgrade: Upgrade, site: Site, older: Release
) -> None:
    second = upgrade.servers[1]
    second.stop()
    bring(second, site, older)
    second.start()
    second.wait_active(120)


@contract("14", "D")
def test_a_downgrade_with_the_data_of_that_time_brings_the_former_cluster_back(
    upgrade: Upgrade, site: Site, older: Release
) -> None:
    first, second = upgrade.servers
    in_parallel(lambda node: node.stop(), upgrade.servers)
    upgrade.store.restore(SNAPSHOT)
    in_parallel(lambda node: bring(node, site, older), upgrade.servers)
    in_parallel(lambda node: node.start(), upgrade.servers)
    in_parallel(lambda node: node.wait_active(), upgrade.servers)
    wait_ready(first, {first.name, second.name})
    kubelet_versions(first, {server.name: upgrade.versions["older"] for server in upgrade.servers})
    api = first.api()
    assert api.status("/api/v1/namespaces/default/configmaps/before-upgrade") == 200
    assert api.status("/api/v1/namespaces/default/configmaps/by-the-newer") == 404
