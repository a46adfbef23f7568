# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sections 3, 9 and 14: rolling restarts with clients at work, and an agent that loses its servers."""

from __future__ import annotations

import json
import threading

from tests.integration.kubernetes_remote import wait_until

from .api import Api
from .clusters import Cluster
from .lines import contract
from .workloads import config_maps, container_ids, create_config_map

COUNT = 1000
PREFIX = "rolling-"


@contract("14", "D")
def test_a_thousand_config_maps_survive_servers_that_restart_one_by_one(main: Cluster) -> None:
    apis = [server.api() for server in main.servers]
    identities = container_ids(apis[0])
    written: list[str] = []
    failed: list[str] = []
    over = threading.Event()

    def write() -> None:
        for number in range(COUNT):
            name = f"{PREFIX}{number}"
            # One address after the other, as a client behind a virtual address would find a server that lives.
            if over.is_set() or not any(
                create_config_map(api, name) for _round in range(60) for api in rotated(apis, number)
            ):
                failed.append(name)
            else:
                written.append(name)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for server in main.servers:
            server.restart_and_wait()
        writer.join(180)
    finally:
        over.set()
        writer.join(60)
    assert failed == [] and len(written) == COUNT, f"{len(written)} written, {failed[:3]} not"
    for api in apis:
        assert config_maps(api, PREFIX) == set(written), api.address
    assert container_ids(apis[0]) == identities


def rotated(apis: list[Api], number: int) -> list[Api]:
    """Return the servers beginning with another one each time."""
    start = number % len(apis)
    return apis[start:] + apis[:start]


@contract("9", "S")
def test_an_agent_goes_on_through_another_server_without_a_restart(main: Cluster) -> None:
    agent, third = main.agents[0], main.servers[2]
    process = agent.show("MainPID")
    kubelet = agent.run("pgrep -o kubelet || echo inside").strip()
    for server in main.servers[:2]:
        server.stop()
    try:
        lease = f"/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{agent.name}"
        before = third.api().get(lease)["spec"]["renewTime"]
        wait_until("the agent renews its lease", lambda: third.api().get(lease)["spec"]["renewTime"] > before, 40)
        said = agent.run(
            f"k3s kubectl --kubeconfig /var/lib/rancher/k3s/agent/kubelet.kubeconfig get node -o name {agent.name} 2>&1"
        )
        assert said.strip() == f"node/{agent.name}"
        assert agent.show("MainPID") == process
        assert agent.run("pgrep -o kubelet || echo inside").strip() == kubelet
    finally:
        for server in main.servers[:2]:
            server.start()
        for server in main.servers[:2]:
            server.wait_active()


@contract("9", "S")
def test_an_agent_starts_while_the_server_of_its_configuration_is_down(main: Cluster) -> None:
    first, agent = main.first, main.agents[0]
    path = "/var/lib/rancher/k3s/agent/etc/k3s-agent-load-balancer.json"
    wait_until("the agent knows all servers", lambda: len(json.loads(agent.run(f"cat {path}"))["ServerAddresses"]) >= 3)
    first.stop()
    try:
        agent.restart()
        agent.wait_active(90)
    finally:
        first.start()
        first.wait_active()
