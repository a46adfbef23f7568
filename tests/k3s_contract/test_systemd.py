# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Section 3: the unit, READY, and what a stop leaves running."""

from __future__ import annotations

import time

from .api import Answer, Api
from .clusters import Cluster
from .lines import contract
from .site import TOKEN
from .workloads import container_ids, node_port


@contract("3", "S")
def test_ready_means_that_the_api_answers(main: Cluster) -> None:
    server = main.servers[2]
    server.stop()
    server.start()
    server.wait_active()
    answer = server.api().ask("GET", "/readyz")
    assert (answer.status, answer.body) == (200, "ok")


@contract("3", "S")
def test_the_service_type_and_state_are_systemds(main: Cluster) -> None:
    for node in (*main.servers, *main.agents):
        assert node.show("SubState") == "running", node.name
        assert node.show("NotifyAccess") == "main", node.name


@contract("3", "S")
def test_a_stop_leaves_pods_running_and_a_start_adopts_them(main: Cluster) -> None:
    agent, api = main.agents[0], main.first.api()
    identity, port = container_ids(api)[agent.name], node_port(api)
    processes = agent.containers()
    agent.stop()
    assert processes and agent.containers() == processes
    assert agent.attempt("pgrep -x containerd").returncode == 1, "containerd outlived the service"
    assert agent.fetch(f"http://{agent.address}:{port}/")
    agent.start()
    agent.wait_active()
    assert agent.containers() == processes
    assert container_ids(api)[agent.name] == identity


@contract("3", "S")
def test_a_stop_takes_every_process_but_the_pods(main: Cluster) -> None:
    server = main.servers[1]
    before = server.processes()
    server.stop()
    left = set(server.run("ps -e -o pid=").split())
    survivors = {name for pid, name in before.items() if str(pid) in left}
    server.start()
    server.wait_active()
    assert survivors == set()


@contract("3", "S")
def test_an_agent_with_a_wrong_token_stays_activating(main: Cluster) -> None:
    agent = main.agents[0]
    config = agent.run("cat /etc/rancher/k3s/config.yaml")
    agent.stop()
    agent.run("sed -i 's/^token:.*/token: wrong-password/' /etc/rancher/k3s/config.yaml")
    place = agent.mark()
    agent.start()
    agent.wait_logged("Waiting to retrieve agent configuration; server is not ready", place, 40)
    assert agent.show("ActiveState") == "activating"
    agent.stop()
    agent.remote.place({"/etc/rancher/k3s/config.yaml": config.encode()})
    agent.start()
    agent.wait_active()


@contract("4", "S")
@contract("8", "S")
def test_the_kubeconfig_and_a_503_come_before_the_api(main: Cluster) -> None:
    server = main.servers[1]
    server.stop()
    server.run("rm /etc/rancher/k3s/k3s.yaml")
    server.start()
    api = Api.with_password(server.address, "server", TOKEN)
    early = next_answer(api)
    # Its file is synced to a disk that may be slow, while the listener answers already.
    later, there = early, False
    while later.status == 503 and not there:
        there = server.attempt("test -s /etc/rancher/k3s/k3s.yaml").returncode == 0
        later = next_answer(api)
    server.wait_active()
    assert early.status == 503 and "apiserver not ready" in early.body, early
    assert there, "the kubeconfig was not there before the API"


def next_answer(api: Api, seconds: float = 60) -> Answer:
    """Return the first answer that comes, also of a listener that is not there yet."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return api.ask("GET", "/api/v1/nodes", seconds=2)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
