# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sections 3 and 16: killed processes, frozen hosts, pulled cables."""

from __future__ import annotations

import re

import pytest

from tests.hosts import heal, inflict
from tests.integration.kubernetes_remote import wait_until

from .clusters import Cluster
from .lines import contract
from .node import Node
from .site import Site, in_parallel, wait_ready
from .workloads import container_ids


def lasting(node: Node) -> set[str]:
    """Return the names of the service's processes, without those that come and go."""
    before = node.processes()
    node.sleep(2)
    return {name for pid, name in node.processes().items() if before.get(pid) == name}


def process(node: Node, name: str) -> int:
    """Return the id of the process of that name, once there is one."""
    wait_until(f"{node.name} runs {name}", lambda: name in node.processes().values(), 60, node.journal)
    return next(pid for pid, found in node.processes().items() if found == name)


def kill(node: Node, pid: int, name: str) -> str:
    """Kill one process and return what the service said until it was active again."""
    place, main_process, containers = node.mark(), node.show("MainPID"), node.containers()
    node.run(f"kill -9 {pid}")
    wait_until(
        f"{node.name} is active again after {name} was killed",
        lambda: node.show("MainPID") not in ("0", main_process) and node.is_active(),
        120,
        node.journal,
    )
    lost = set(containers.items()) - set(node.containers().items())
    assert not lost, f"{node.name}: killing {name} took containers along: {sorted(lost)}"
    return node.journal(place)


@contract("3", "S, I")
@contract("16", "S")
def test_every_process_may_be_killed_and_the_service_comes_back_with_all_pods(main: Cluster) -> None:
    identities = container_ids(main.first.api())
    names = sorted(set.intersection(*(lasting(server) for server in main.servers)))
    assert len(names) >= 2, f"a server and its containerd at least: {names}"
    # Server by server in turn, three at once: with an external datastore no server needs another.
    shares = [(server, names[number :: len(main.servers)]) for number, server in enumerate(main.servers)]

    def kill_each(share: tuple[Node, list[str]]) -> dict[str, str]:
        server, some = share
        said = {}
        for name in some:
            said[name] = kill(server, process(server, name), name)
        return said

    journals: dict[str, str] = {}
    for said in in_parallel(kill_each, shares):
        journals |= said
    wait_ready(main.first, main.names)
    assert container_ids(main.first.api()) == identities
    assert re.search(r"Shutdown request received: containerd exited: ", journals["containerd"]), journals["containerd"][
        -600:
    ]


@contract("3", "S")
def test_a_server_killed_while_it_starts_starts_the_next_time(main: Cluster) -> None:
    server = main.servers[2]
    server.stop()
    for seconds in (0.4, 1.0, 2.0, 4.0):
        server.start()
        server.sleep(seconds)
        server.run(f"systemctl kill -s KILL {server.unit}; systemctl stop {server.unit}")
    server.start()
    server.wait_active()
    wait_ready(main.first, {server.name})


@contract("16", "S")
def test_the_power_of_a_server_fails_and_the_others_go_on(main: Cluster, site: Site) -> None:
    server = main.servers[1]
    inflict(site.host_set.name, server.name, "kill")
    try:
        main.first.kubectl("create configmap during-power-cut --from-literal=a=b")
    finally:
        heal(site.host_set.name, server.name)
        server.remote.hang_up()
    server.start()
    server.wait_active()
    wait_ready(main.first, {server.name})
    assert server.api().status("/api/v1/namespaces/default/configmaps/during-power-cut") == 200


@contract("9", "S")
@pytest.mark.parametrize("fault", ["pause", "cut"])
def test_an_agent_leaves_a_server_that_only_falls_silent(main: Cluster, site: Site, fault: str) -> None:
    agent, first, third = main.agents[0], main.first, main.servers[2]
    lease = f"/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{agent.name}"
    process = agent.show("MainPID")
    inflict(site.host_set.name, first.name, fault)
    try:
        before = third.api().get(lease)["spec"]["renewTime"]
        wait_until("the agent renews its lease", lambda: third.api().get(lease)["spec"]["renewTime"] > before, 60)
        assert agent.show("MainPID") == process
    finally:
        heal(site.host_set.name, first.name)
        first.remote.hang_up()
    wait_until("the server answers again", lambda: first.api().status("/readyz") == 200, 120)
    wait_ready(third, main.names)
