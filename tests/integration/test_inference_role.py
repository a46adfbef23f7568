# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role inference on any cluster: a real API server by its kubeconfig, and this machine as its only node's disk.

No kubelet runs here, so the test itself says that pods are ready. What pods then do is asked on a whole site.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.manifest import read_manifest
from holdfast_inference.model_folder import read_card
from holdfast_inference.server.keys import parse_keys

from tests.inference.engine.asking import make_model
from tests.playbook import Run, run_playbook

from .kubernetes_cluster import Parts
from .local_api import LocalApi, local_api

NODE = "one"
READY = {
    "statefulset/llm": ("inference", {"replicas": 1, "readyReplicas": 1, "updatedReplicas": 1, "availableReplicas": 1}),
    "daemonset/llm-gateway": (
        "inference-gateway",
        {"desiredNumberScheduled": 1, "updatedNumberScheduled": 1, "numberAvailable": 1, "numberReady": 1},
    ),
}


@dataclass
class Cluster:
    """The API, and what the role is told of it."""

    api: LocalApi
    folder: Path
    variables: dict[str, Any]

    def run(self, cmdline: str = "", **more: Any) -> Run:
        inventory = self.folder / "inventory.yml"
        host = {"ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}
        inventory.write_text(yaml.safe_dump({"edge": {"hosts": {NODE: host}}}), encoding="utf-8")
        return run_playbook(
            "playbooks/inference.yml", inventory=str(inventory), extravars=self.variables | more, cmdline=cmdline
        )

    def say_ready(self) -> None:
        """What the controllers would say once the kubelets did."""
        for name, (namespace, status) in READY.items():
            generation = json.loads(self.api.kubectl("get", name, "-n", namespace, "-o", "json"))["metadata"][
                "generation"
            ]
            whole = {
                "status": status
                | {"observedGeneration": generation, "currentNumberScheduled": 1, "numberMisscheduled": 0}
            }
            if name.startswith("statefulset"):
                whole["status"] = status | {
                    "observedGeneration": generation,
                    "currentRevision": "a",
                    "updateRevision": "a",
                }
            arguments = (
                "patch",
                name,
                "-n",
                namespace,
                "--subresource=status",
                "--type=merge",
                "-p",
                json.dumps(whole),
            )
            self.api.kubectl(*arguments)

    def secret(self, namespace: str, name: str) -> dict[str, str]:
        found = json.loads(self.api.kubectl("get", "secret", name, "-n", namespace, "-o", "json"))["data"]
        return {key: base64.b64decode(value).decode() for key, value in found.items()}


@pytest.fixture(scope="module")
def cluster(bundle_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("role")
    assert any(entry.name == "llm-inference" for entry in read_manifest(bundle_path) or ()), "run `make bundle`"
    parts = Parts(bundle_path)
    etcd, kubernetes = (
        Path(max(parts.programs(*names).items())[1]) for names in (("etcd", "etcd"), ("kubernetes", "kubernetes"))
    )
    (folder / "kubectl").symlink_to(kubernetes)
    with local_api(etcd, kubernetes, folder) as api:
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}, "spec": {"podCIDR": "10.42.3.0/24"}}
        api.kubectl("apply", "-f", "-", given=yaml.safe_dump(node))
        yield Cluster(
            api,
            folder,
            {
                "bundle_path": str(bundle_path),
                "site_secrets_path": str(folder / "secrets"),
                "inference_api_host": "localhost",
                "inference_kubectl": str(folder / "kubectl"),
                "inference_kubeconfig": str(api.kubeconfig),
                "inference_models": {"shop": str(make_model(folder))},
                "inference_clients": {"till": {"priority": 5}},
                "inference_tls": False,
                "inference_store_path": str(folder / "store"),
                "inference_state_path": str(folder / "state"),
                "inference_ready_seconds": 2,
            },
        )


def changes(run: Run) -> int:
    return sum(run.changed.values())


def store(cluster: Cluster) -> list[str]:
    return sorted(
        path.relative_to(cluster.folder / "store").as_posix() for path in (cluster.folder / "store").rglob("*")
    )


def test_a_cluster_gets_it_and_a_second_run_changes_nothing(cluster: Cluster) -> None:
    blank = cluster.run(cmdline="--check --diff")
    assert blank.rc == 0, blank.failures
    assert not (cluster.folder / "store").exists() and not (cluster.folder / "secrets").exists()
    cluster.api.kubectl("get", "namespace", "inference", fails=True)

    waited = cluster.run()
    assert waited.rc != 0
    assert "was not ready after 2 s" in str(waited.failures)
    digest = read_card(Path(cluster.variables["inference_models"]["shop"])).digest
    assert str((cluster.folder / "store/shop/current").readlink()) == digest
    assert read_card(cluster.folder / "store/shop/current").digest == digest

    cluster.say_ready()
    second = cluster.run()
    assert second.rc == 0, second.failures
    assert changes(second) == 0, second.changed
    checked = cluster.run(cmdline="--check --diff")
    assert (checked.rc, changes(checked)) == (0, 0), checked.failures


def test_keys_are_in_the_cluster_and_with_the_controller_and_nowhere_else(cluster: Cluster) -> None:
    key = (cluster.folder / "secrets/inference-client-till").read_text(encoding="utf-8").strip()
    told = cluster.secret("inference-gateway", "llm-gateway")
    (till,) = parse_keys(told["client-keys"], "client-keys")
    assert (till.name, till.priority) == ("till", 5)
    assert key not in told["client-keys"]
    (gateway,) = parse_keys(cluster.secret("inference", "llm-engine")["engine-keys"], "engine-keys")
    assert gateway.priority == 999
    run = cluster.run(cmdline="-vvv")
    assert key not in run.stdout and told["node-key"] not in run.stdout


def test_a_lost_authority_is_not_replaced_in_silence(cluster: Cluster) -> None:
    wanted: dict[str, Any] = {"inference_tls": True, "inference_names": ["answers.example.org"]}
    cluster.run(**wanted)
    served = cluster.secret("inference-gateway", "llm-gateway")["tls.crt"]
    # With these two, all that says whom clients trust is gone from the controller.
    for name in ("inference-ca.pem", "inference-ca.crt"):
        (cluster.folder / "secrets" / name).unlink()
    refused = cluster.run(**wanted)
    assert refused.rc != 0 and "inference-ca.pem is not there, and clients trust" in str(refused.failures)
    assert not (cluster.folder / "secrets/inference-ca.pem").exists()
    assert cluster.secret("inference-gateway", "llm-gateway")["tls.crt"] == served

    cluster.run(**wanted, inference_new_authority=True)
    another = cluster.secret("inference-gateway", "llm-gateway")["tls.crt"]
    assert "BEGIN CERTIFICATE" in another and another != served
    # As the other tests have it.
    cluster.run()


def test_a_change_of_values_is_shown_before_it_is_made(cluster: Cluster) -> None:
    more = {"inference_values": {"engine": {"queueTokens": 4096}}}
    told = cluster.run(cmdline="--check --diff", **more)
    assert told.rc == 0 and "queue_tokens = 4096" in told.stdout
    settings = json.loads(cluster.api.kubectl("get", "configmap", "llm-engine", "-n", "inference", "-o", "json"))
    assert "queue_tokens = 32768" in settings["data"]["inference.toml"]


def test_gateways_are_heard_by_where_they_speak_from(cluster: Cluster) -> None:
    policy = json.loads(cluster.api.kubectl("get", "networkpolicy", "llm-engine", "-n", "inference", "-o", "json"))
    blocks = [peer["ipBlock"]["cidr"] for rule in policy["spec"]["ingress"] for peer in rule["from"]]
    assert blocks == ["10.42.3.0/32"]


def test_of_versions_that_are_served_no_more_the_newest_stays(cluster: Cluster) -> None:
    shop = cluster.folder / "store/shop"
    for age, letter in enumerate("abc"):
        (shop / (letter * 64)).mkdir()
        os.utime(shop / (letter * 64), (1000 - age, 1000 - age))
    (shop / "of-the-operator").mkdir()
    before = store(cluster)
    told = cluster.run(cmdline="--check")
    assert (told.rc, changes(told), store(cluster)) == (0, 1, before), told.failures
    cluster.say_ready()
    assert cluster.run().rc == 0
    served = str((shop / "current").readlink())
    assert {path.name for path in shop.iterdir()} == {"current", served, "a" * 64, "of-the-operator"}


def test_a_model_that_would_fill_the_disk_is_not_brought(cluster: Cluster) -> None:
    card = cluster.folder / "store/shop/current/model.json"
    card.unlink()
    run = cluster.run(__inference_reserve=1 << 60)
    assert run.rc != 0 and "to stay free. Nothing of a model was copied" in str(run.failures), run.failures
    assert not card.exists()
    cluster.run()
    assert card.exists()


def test_an_engines_number_is_not_given_to_another_node(cluster: Cluster) -> None:
    other = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "other"}}
    cluster.api.kubectl("apply", "-f", "-", given=yaml.safe_dump(other))
    try:
        before = store(cluster)
        run = cluster.run(inference_hosts=["other"])
        said = str(run.failures)
        assert run.rc != 0 and "0 of one would be that of other" in said
        assert "delete persistentvolumes inference-llm-one" in said
        assert store(cluster) == before
        beside = cluster.run(cmdline="--check", inference_hosts=["other", NODE])
        assert beside.rc == 0, beside.failures
    finally:
        cluster.api.kubectl("delete", "node", "other")


def test_the_metrics_of_another_are_not_taken_over(cluster: Cluster) -> None:
    api = {"group": "custom.metrics.k8s.io", "version": "v1beta2", "groupPriorityMinimum": 1, "versionPriority": 1}
    served = {"insecureSkipTLSVerify": True, "service": {"namespace": "watch", "name": "prometheus-adapter"}}
    name = f"{api['version']}.{api['group']}"
    service = {"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": name}}
    cluster.api.kubectl("create", "-f", "-", given=yaml.safe_dump(service | {"spec": api | served}))
    try:
        run = cluster.run(inference_autoscale=True)
        assert run.rc != 0 and "watch/prometheus-adapter serves" in str(run.failures), run.failures
        assert "No resources" in cluster.api.kubectl("get", "hpa", "--all-namespaces")
    finally:
        cluster.api.kubectl("delete", "apiservice", name)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"inference_models": {}, "inference_clients": {}}, "names no model; and inference_clients names nobody"),
        ({"inference_certificate": "/gateway.crt"}, "belong together"),
        ({"inference_hosts": ["one", "two"]}, "has no node two"),
        ({"inference_slots": 3}, "slots, not for 3"),
        ({"inference_values": {"engine": {"thraeds": 1}}}, "thraeds"),
        ({"inference_values": {"autoscaling": {"enabled": True}}}, "only inference_autoscale tells"),
    ],
    ids=str,
)
def test_a_mistake_is_told_and_changes_nothing(cluster: Cluster, more: dict[str, Any], said: str) -> None:
    before = store(cluster)
    run = cluster.run(**more)
    # What helm or a filter says is beside the task's own message.
    assert run.rc != 0 and said in str(run.failures) + run.stdout, run.failures
    assert store(cluster) == before
