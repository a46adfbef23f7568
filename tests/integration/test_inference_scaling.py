# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The number of engines follows the load: Kubernetes' own autoscaler, asked for by the role, on a cluster of two nodes.

The tests are one story and run in the order in which they stand.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.holdfast.edge.plugins.module_utils._drill.client import Answer, Client
from ansible_collections.holdfast.edge.plugins.module_utils._drill.questions import Question, questions

from dev.contract import stand_ins
from dev.fixture.versions import NAME as MODEL
from dev.fixture.versions import export_version
from tests.k3s_contract.etcd import Store, bring_programs
from tests.k3s_contract.inputs import read_inputs
from tests.k3s_contract.node import Node
from tests.k3s_contract.reach import Reach
from tests.k3s_contract.site import (
    AGENT_TOKEN,
    TOKEN,
    datastore,
    datastore_files,
    full_token,
    in_parallel,
    lean,
    wait_ready,
)
from tests.playbook import Run
from tests.site import Site, site_hosts

from .kubernetes_cluster import Parts
from .kubernetes_remote import wait_until

NAME, NETWORK = "scale", "10.97.0.0/24"
STORE_PORT = 2379
IMAGES = ("inference", "engine-metrics")
NAMESPACE, RELEASE = "inference", "llm"
METRICS = "/apis/custom.metrics.k8s.io/v1beta2"
QUEUED, FIRST_TOKEN = "holdfast_queued_tokens", "holdfast_first_token_p95_seconds"
# Much work for engines and little for clients: these share a busy machine, and shall not be what is waited for.
CLIENTS, TOKENS = 24, 400
# Kubernetes looks every 15 s. Going down takes the last minute's requests, the quiet time, and a look or two.
UP_SECONDS, DOWN_SECONDS = 120, 240
VARIABLES: dict[str, Any] = {
    "inference_models": {MODEL: "{{ inventory_dir }}/shop"},
    "inference_clients": {"till": {"priority": 5}},
    "inference_cpu": 1,
    "inference_values": {
        # Two nodes: one engine when nobody asks, and a drain may take it.
        "disruption": {"minAvailable": 1},
        "autoscaling": {"minReplicas": 1, "tokensPerEngine": 500, "quietSeconds": 30},
    },
}


class Cluster:
    """A server and an agent that others made; the role is told of them by their kubeconfig."""

    def __init__(self, site: Site, server: Node) -> None:
        self.site = site
        self.server = server

    def bring(self, cmdline: str = "", **more: Any) -> Run:
        run = self.site.run("playbooks/inference.yml", cmdline=cmdline, **more)
        assert run.rc == 0, run.failures
        return run

    def get(self, what: str) -> dict[str, Any]:
        found: dict[str, Any] = self.server.kubectl_json(f"-n {NAMESPACE} get {what}")
        return found

    def wanted(self) -> int:
        return int(self.get(f"statefulset {RELEASE}")["spec"]["replicas"])

    def serving(self) -> set[str]:
        """The engines that are ready to answer."""
        pods = self.get("pods -l app.kubernetes.io/component=engine")["items"]
        return {
            pod["metadata"]["name"]
            for pod in pods
            if "deletionTimestamp" not in pod["metadata"]
            and all(one["ready"] for one in pod["status"].get("containerStatuses", [{"ready": False}]))
        }

    def identities(self) -> set[str]:
        """The same, so that one that came back is another."""
        pods = self.get("pods -l app.kubernetes.io/component=engine")["items"]
        return {pod["metadata"]["uid"] for pod in pods if pod["metadata"]["name"] in self.serving()}

    def has_one(self) -> bool:
        return self.wanted() == 1 and self.serving() == {"llm-0"}

    def has_two(self) -> bool:
        return self.wanted() == 2 and self.serving() == {"llm-0", "llm-1"}

    def scales(self) -> bool:
        """Whether the autoscaler has numbers of every engine, and goes by them."""
        told = {one["type"]: one["status"] for one in self.get(f"hpa {RELEASE}")["status"].get("conditions", [])}
        return told.get("ScalingActive") == "True" and self.metric(QUEUED).keys() == self.serving()

    def metric(self, name: str) -> dict[str, float]:
        """What the cluster's API says of each engine."""
        labels = f"app.kubernetes.io/instance={RELEASE},app.kubernetes.io/component=engine".replace("=", "%3D")
        path = f"{METRICS}/namespaces/{NAMESPACE}/pods/*/{name}?labelSelector={labels}"
        items = json.loads(self.server.kubectl(f"get --raw '{path}'"))["items"]
        return {item["describedObject"]["name"]: quantity(item["value"]) for item in items}

    def autoscaler(self) -> str:
        """For a test that fails."""
        said = self.server.kubectl(f"-n {NAMESPACE} describe hpa,pods")
        return said + self.server.kubectl(f"-n {NAMESPACE} logs deployment/{RELEASE}-metrics --tail=30")

    def wait(self, what: str, holds: Callable[[], bool], seconds: float) -> None:
        wait_until(what, holds, seconds, self.autoscaler)


def quantity(text: str) -> float:
    return float(text[:-1]) / 1000 if text.endswith("m") else float(text)


@pytest.fixture(scope="module")
def cluster(bundle_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    sockets = tmp_path_factory.mktemp("sockets")
    with site_hosts(NAME, 1, 1, VARIABLES, network=NETWORK, disk_gb=6) as site:
        export_version(MODEL, site.folder / MODEL)
        remotes = [Reach(site.host_set, host, sockets) for host in site.hosts]
        try:
            server = start(Node(remotes[0], "server"), Node(remotes[1], "agent"), Parts(bundle_path))
            found = Cluster(site.with_variables(inference_api_host=server.name), server)
            yield found
        finally:
            for remote in remotes:
                remote.hang_up()


def start(server: Node, agent: Node, parts: Parts) -> Node:
    """The stand-in for k3s as a server with its datastore and an agent, with the images of the service."""
    inputs = read_inputs(stand_ins())
    images = {f"{name}.tar": parts.image(name) for name in IMAGES}
    in_parallel(lambda node: node.install(inputs.release, images), (server, agent))
    server.run("ln -sf k3s /usr/local/bin/kubectl")
    bring_programs(server.remote, inputs.etcd)
    store = Store(server.remote, NAME, STORE_PORT)
    store.start()
    told = {**lean(server), **datastore(store), "token": TOKEN, "agent-token": AGENT_TOKEN}
    server.configure(told, files=datastore_files(store))
    server.start()
    server.wait_active()
    joined = {"server": f"https://{server.address}:6443", "token": full_token(server, AGENT_TOKEN, "node")}
    agent.configure({**joined, "kubelet-arg": agent.host_arguments()})
    agent.start()
    agent.wait_active()
    wait_ready(server, {server.name, agent.name})
    return server


def changes(run: Run) -> int:
    return sum(run.changed.values())


@contextmanager
def asked_all_the_while(cluster: Cluster, clients: int, kind: str, tokens: int) -> Iterator[list[Answer]]:
    """Clients that each ask again as soon as they have a whole answer, until the block ends."""
    key = (cluster.site.secrets / "inference-client-till").read_text(encoding="utf-8").strip()
    authority = str(cluster.site.secrets / "inference-ca.crt")
    client = Client(f"https://{cluster.site.hosts[1].address}:8443", key, authority, 60.0, 120.0)
    known = questions(MODEL, ["Where is the lamp?"], tokens)
    (asked,) = (one for one in known if one.kind == kind and not one.stream)
    answers: list[Answer] = []
    end = threading.Event()
    with ThreadPoolExecutor(clients) as pool:
        for _number in range(clients):
            pool.submit(ask_again_and_again, client, asked, end, answers)
        try:
            yield answers
        finally:
            end.set()


def ask_again_and_again(client: Client, asked: Question, end: threading.Event, answers: list[Answer]) -> None:
    while not end.is_set():
        answers.append(client.ask(asked, uuid.uuid4().hex, time.time()))
        end.wait(0.01)


def test_without_it_each_node_has_an_engine_and_nothing_scales(cluster: Cluster) -> None:
    cluster.bring()
    assert cluster.has_two()
    assert cluster.get("hpa")["items"] == []


def test_the_autoscaler_takes_over_and_no_engine_is_lost_meanwhile(cluster: Cluster) -> None:
    engines = cluster.identities()
    told = cluster.bring("--check --diff", inference_autoscale=True)
    assert changes(told) > 0 and "kind: HorizontalPodAutoscaler" in told.stdout
    assert "There stay 2 engines until" in told.stdout
    assert cluster.get("hpa")["items"] == []

    # Two at the least, so that whoever goes was lost in the change of hands.
    cluster.bring(inference_autoscale=True, inference_values={"disruption": {"minAvailable": 2}})
    # Engines know the key of who asks once their kubelets have looked for changed secrets, which they do each minute.
    cluster.wait("the autoscaler has numbers of both", cluster.scales, 180)
    assert (cluster.wanted(), cluster.identities()) == (2, engines)


def test_the_api_tells_the_load_of_each_engine_over_tls_that_is_judged(cluster: Cluster) -> None:
    for name in (QUEUED, FIRST_TOKEN):
        assert cluster.metric(name).keys() == {"llm-0", "llm-1"}
    service = cluster.get("apiservice v1beta2.custom.metrics.k8s.io")["spec"]
    assert service["caBundle"] and not service.get("insecureSkipTLSVerify")
    # Kubernetes' own controller may ask, and who has no rights may not.
    refused = cluster.server.attempt(f"kubectl --as=nobody get --raw {METRICS}/namespaces/{NAMESPACE}/pods/*/{QUEUED}")
    assert refused.returncode != 0 and "orbidden" in refused.stderr
    named = {one["pods"]["metric"]["name"] for one in cluster.get(f"hpa {RELEASE}")["status"]["currentMetrics"]}
    assert named == {QUEUED, FIRST_TOKEN}


def test_an_idle_site_gives_an_engine_up_and_the_role_does_not_bring_it_back(cluster: Cluster) -> None:
    cluster.bring(inference_autoscale=True)
    cluster.wait("one engine is enough", cluster.has_one, DOWN_SECONDS)
    second = cluster.bring(inference_autoscale=True)
    assert changes(second) == 0, second.changed
    checked = cluster.bring("--check --diff", inference_autoscale=True)
    assert (changes(checked), cluster.wanted()) == (0, 1)


def test_load_brings_the_second_engine_which_answers_and_silence_lets_it_go(cluster: Cluster) -> None:
    with asked_all_the_while(cluster, CLIENTS, "two", TOKENS) as answers:
        cluster.wait("a second engine is ready", cluster.has_two, UP_SECONDS)
        cluster.wait("it has work", lambda: cluster.metric(QUEUED).get("llm-1", 0) > 0, 60)
        cluster.wait("it has answered", lambda: cluster.metric(FIRST_TOKEN).get("llm-1", 0) > 0, 60)
    assert len(answers) > CLIENTS
    assert {answer.error for answer in answers} == {""}
    # One client that goes on asking is no reason to keep it, and notices nothing when it goes.
    with asked_all_the_while(cluster, 1, "short", 16) as few:
        cluster.wait("one engine is enough again", cluster.has_one, DOWN_SECONDS)
    assert len({answer.told for answer in answers}) == 1
    assert ({answer.error for answer in few}, len({answer.told for answer in few})) == ({""}, 1)
    assert len(few) > CLIENTS


def test_an_engine_that_is_not_heard_is_left_out(cluster: Cluster) -> None:
    """Stopped in its tracks it is no idle engine: the API says nothing of it, rather than that it has nothing to do."""
    # In brackets, so that the shell that runs it is not meant.
    engine = "-f '[h]oldfast_inference[.]server run'"
    holder = cluster.site.host(cluster.get("pod llm-0")["spec"]["nodeName"])
    cluster.site.ssh(holder, f"pkill --signal STOP {engine}")
    try:
        cluster.wait("it is left out", lambda: cluster.metric(QUEUED) == {}, 20)
    finally:
        cluster.site.ssh(holder, f"pkill --signal CONT {engine}")
    cluster.wait("it is heard again", lambda: cluster.metric(QUEUED).keys() == {"llm-0"}, 60)


def test_switched_off_each_node_has_its_engine_again_and_nothing_is_left(cluster: Cluster) -> None:
    assert changes(cluster.bring("--check")) > 0
    cluster.bring()
    assert cluster.has_two()
    left = "apiservice,hpa,deployment,secret,role,rolebinding,clusterrolebinding,networkpolicy,service,serviceaccount"
    assert cluster.get(f"{left} -A -l app.kubernetes.io/component=scaling")["items"] == []
    assert changes(cluster.bring()) == 0
