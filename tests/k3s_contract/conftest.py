# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the contract tests share: the inputs, the hosts, the clusters, and the table at the end."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hosts import session_set

from .clusters import Cluster, start_main, start_solo
from .inputs import InputError, Inputs, read_inputs
from .lines import Table
from .node import Node
from .reach import Reach
from .site import Site, install, make_site
from .workloads import run_everywhere

CLOCK_SET = "k3s-contract-clock"
# Cheap questions first; then the running cluster; then what disturbs it; then what needs the hosts for itself.
ORDER = (
    "test_command_line",
    "test_configuration",
    "test_bad_input",
    "test_tokens",
    "test_files",
    "test_external_etcd",
    "test_bootstrap_data",
    "test_components",
    "test_images",
    "test_join",
    "test_supervisor",
    "test_certificates",
    "test_encryption",
    "test_systemd",
    "test_second_start",
    "test_node_password",
    "test_rotation",
    "test_datastore_lost",
    "test_restart",
    "test_faults",
    "test_upgrade",
)


def pytest_configure(config: pytest.Config) -> None:
    """Know the marker, and collect the table once."""
    config.addinivalue_line(
        "markers", "contract(section, tag, unconfirmed): the line of the contract that a test proves"
    )
    if not config.pluginmanager.has_plugin("k3s-contract-table"):
        config.pluginmanager.register(Table(), "k3s-contract-table")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order the files of this folder by what they do to the clusters; others keep their places."""
    ours = [item for item in items if item.path.parent.name == "k3s_contract"]
    places = {name: number for number, name in enumerate(ORDER)}
    ordered = iter(sorted(ours, key=lambda item: places[item.path.stem]))
    items[:] = [next(ordered) if item in ours else item for item in items]


@pytest.fixture(scope="session")
def inputs() -> Inputs:
    """What was given by the environment; without a binary every test fails, and says why."""
    try:
        return read_inputs()
    except InputError as error:
        pytest.fail(str(error), pytrace=False)


@pytest.fixture(scope="session")
def site(inputs: Inputs) -> Iterator[Site]:
    """Six hosts with the binary and nothing else of k3s."""
    with make_site(inputs) as made:
        yield made


@pytest.fixture(scope="session")
def machine(site: Site) -> Iterator[Node]:
    """A host with a clock of its own: one that is made for it where the others are containers."""
    if site.inputs.tier == "vm":
        yield site.second
        return
    with tempfile.TemporaryDirectory(prefix="k3s-") as folder, session_set(CLOCK_SET, count=1, tier="vm") as host_set:
        remote = Reach(host_set, host_set.hosts[0], Path(folder))
        node = Node(remote, "server")
        install(site.inputs, node)
        yield node
        remote.hang_up()


@pytest.fixture(scope="session")
def main(site: Site) -> Cluster:
    """Three servers that were started at the same instant on an empty datastore, an agent, a pod on each."""
    cluster = start_main(site)
    run_everywhere(cluster.first, site.inputs, cluster.names)
    return cluster


@pytest.fixture(scope="session")
def solo(site: Site) -> Cluster:
    """One server alone on its datastore, with a pod."""
    cluster = start_solo(site)
    run_everywhere(cluster.first, site.inputs, cluster.names)
    return cluster
