# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The chart llm-inference: what helm makes of it, and whether an API server of the bundle takes every bit of it."""

from __future__ import annotations

import contextlib
import copy
import json
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tomllib
import yaml
from holdfast_inference.gateway.settings import gateway_from
from holdfast_inference.server.operator import VERBS
from holdfast_inference.server.settings import settings_from

from dev.paths import ROOT

from .kubernetes_cluster import Parts
from .local_api import LocalApi, local_api

CHART = ROOT / "roles/bundle/files/charts/llm-inference"
RELEASE, NAMESPACE = "llm", "inference"
MIB = 1024 * 1024
METRICS = ["holdfast_queued_tokens", "holdfast_first_token_p95_seconds"]
VALUES: dict[str, Any] = {
    "nodes": ["one", "two", "three"],
    "models": {"shop": {"folder": "shop/abc", "memoryBytes": 200 * MIB}},
}
SHARED = {"kind": "Deployment", "nodes": [], "replicas": 4, "store": {"path": "/var/lib/models", "claim": "models"}}
AUTHORITY = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
SCALING: dict[str, Any] = {"autoscaling": {"enabled": True, "metrics": {"authority": AUTHORITY}}}
ALL: dict[str, Any] = SCALING | {
    "networkPolicy": {
        "enabled": True,
        "gateways": ["192.0.2.1/32", "fd00::1/128"],
        "ingress": [{"from": [{"namespaceSelector": {}}], "ports": [{"port": "http"}]}],
        "egress": [{"to": [{"ipBlock": {"cidr": "192.0.2.9/32"}}]}],
    },
    "engine": {
        "nodeSelector": {"holdfast.internal/avx512": "true"},
        "tolerations": [{"key": "llm", "operator": "Exists"}],
        "settings": "[limits]\nchoices = 2",
    },
    "gateway": {"statePath": "/var/lib/holdfast/gateway", "clientCertificates": True, "nodeSelector": {"edge": "true"}},
}


@pytest.fixture(scope="module")
def helm(bundle_path: Path) -> Path:
    (program,) = Parts(bundle_path).programs("helm", "helm").values()
    return Path(program)


@pytest.fixture(scope="module")
def api(bundle_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalApi]:
    parts = Parts(bundle_path)
    etcd, kubernetes = (
        Path(max(parts.programs(*names).items())[1]) for names in (("etcd", "etcd"), ("kubernetes", "kubernetes"))
    )
    with local_api(etcd, kubernetes, tmp_path_factory.mktemp("api")) as api:
        strict = "pod-security.kubernetes.io/enforce: restricted, pod-security.kubernetes.io/warn: restricted"
        made = f"{{apiVersion: v1, kind: Namespace, metadata: {{name: {NAMESPACE}, labels: {{{strict}}}}}}}"
        api.kubectl("apply", "-f", "-", given=made)
        yield api


def render(helm: Path, folder: Path, *changes: dict[str, Any], fails: bool = False) -> str:
    values = folder / "values.yaml"
    whole = copy.deepcopy(VALUES)
    for change in changes:
        whole |= change
    values.write_text(yaml.safe_dump(whole), encoding="utf-8")
    command = [str(helm), "template", RELEASE, str(CHART), "--namespace", NAMESPACE, "--values", str(values)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode != 0) == fails, ended.stderr
    return ended.stderr if fails else ended.stdout


def objects(text: str) -> dict[tuple[str, str], dict[str, Any]]:
    return {(item["kind"], item["metadata"]["name"]): item for item in yaml.safe_load_all(text) if item}


def pod_of(item: dict[str, Any]) -> dict[str, Any]:
    pod: dict[str, Any] = item["spec"]["template"]["spec"]
    return pod


def test_helm_finds_no_fault(helm: Path, tmp_path: Path) -> None:
    (tmp_path / "values.yaml").write_text(yaml.safe_dump(VALUES), encoding="utf-8")
    for more in ([], ["--values", str(tmp_path / "values.yaml")]):
        told = subprocess.run(
            [str(helm), "lint", "--strict", str(CHART), *more], capture_output=True, text=True, check=False
        )
        assert told.returncode == 0, told.stdout + told.stderr


@pytest.mark.parametrize("changes", [{}, SHARED, ALL, SHARED | ALL, {"gateway": {"enabled": False}}], ids=str)
def test_an_api_server_takes_every_field_and_the_restricted_standard_holds(
    api: LocalApi, helm: Path, tmp_path: Path, changes: dict[str, Any]
) -> None:
    text = render(helm, tmp_path, changes)
    items = [item for item in yaml.safe_load_all(text) if item]
    for namespace in (item for item in items if item["kind"] == "Namespace"):
        api.kubectl("apply", "--server-side", "-f", "-", given=yaml.safe_dump(namespace))
    told = api.kubectl("apply", "--server-side", "--dry-run=server", "--validate=strict", "-f", "-", given=text)
    # The API warns where a pod template would break the namespace's standard, and so would its pods be refused.
    assert "Warning" not in told, told
    assert len(told.strip().splitlines()) == len(items)


def test_pods_are_admitted_by_the_restricted_standard_as_they_are(api: LocalApi, helm: Path, tmp_path: Path) -> None:
    pod = pod_of(objects(render(helm, tmp_path))["StatefulSet", RELEASE])
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": pod["serviceAccountName"]}}
    api.kubectl("apply", "--namespace", NAMESPACE, "-f", "-", given=yaml.safe_dump(account))
    pod.pop("priorityClassName")
    one = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one", "namespace": NAMESPACE}, "spec": pod}
    pod["volumes"].append({"name": "store", "emptyDir": {}})
    assert "created" in api.kubectl("create", "--dry-run=server", "-f", "-", given=yaml.safe_dump(one))
    pod["hostNetwork"] = True
    refused = api.kubectl("create", "--dry-run=server", "-f", "-", given=yaml.safe_dump(one), fails=True)
    assert 'violates PodSecurity "restricted' in refused


# What a pod beside the gateways might want of the host, and what it is told.
OVERREACHES: dict[str, tuple[str, Any]] = {
    "hostPID": ("only the host's network", True),
    "securityContext": ("as root", {"runAsNonRoot": False}),
    "volumes": ("of the host's folders", [{"name": "etc", "hostPath": {"path": "/etc"}}]),
    "containers.ports": ("of the host's ports", [{"containerPort": 22, "hostPort": 22}]),
    "containers.securityContext.allowPrivilegeEscalation": ("must not be privileged", True),
    "containers.securityContext.runAsUser": ("as root", 0),
    "containers.securityContext.capabilities": ("drop all capabilities", {"add": ["NET_ADMIN"]}),
    "containers.securityContext.readOnlyRootFilesystem": ("must be read-only", False),
}


def test_the_gateways_namespace_gives_the_hosts_network_and_nothing_else(
    api: LocalApi, helm: Path, tmp_path: Path
) -> None:
    found = objects(render(helm, tmp_path))
    wanted = ("Namespace", "ServiceAccount", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")
    kept = [
        item for (kind, name), item in found.items() if kind in wanted and (kind, name) != ("ServiceAccount", RELEASE)
    ]
    api.kubectl("apply", "--server-side", "-f", "-", given=yaml.safe_dump_all(kept))
    spec = pod_of(found["DaemonSet", "llm-gateway"])
    spec.pop("priorityClassName")
    metadata = {"name": "one", "namespace": found["DaemonSet", "llm-gateway"]["metadata"]["namespace"]}

    def create(changed: dict[str, Any], fails: bool) -> str:
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": changed}
        return api.kubectl("create", "--dry-run=server", "-f", "-", given=yaml.safe_dump(pod), fails=fails)

    def create_is_allowed(changed: dict[str, Any]) -> bool:
        with contextlib.suppress(AssertionError):
            return bool(create(changed, fails=False))
        return False

    # The API server learns of a policy a moment after it was written.
    deadline = time.monotonic() + 30
    while create_is_allowed({**spec, "hostIPC": True}):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert "created" in create(spec, fails=False)
    for path, (said, value) in OVERREACHES.items():
        changed = copy.deepcopy(spec)
        *way, last = path.split(".")
        place = changed
        for step in way:
            place = place[step][0] if step == "containers" else place[step]
        place[last] = [*place[last], *value] if isinstance(value, list) else value
        assert said in create(changed, fails=True), path


def test_what_the_server_and_the_gateway_are_told_is_what_they_know(helm: Path, tmp_path: Path) -> None:
    found = objects(render(helm, tmp_path, ALL))
    settings = settings_from(tomllib.loads(found["ConfigMap", "llm-engine"]["data"]["inference.toml"]))
    assert {name: str(folder) for name, folder in settings.models.items()} == {"shop": "/models/shop/abc"}
    assert (settings.engine.threads, settings.limits.choices, settings.heartbeat.port) == (2, 2, 8081)
    told = tomllib.loads(found["ConfigMap", "llm-gateway"]["data"]["gateway.toml"])
    gateway = gateway_from(told.pop("gateway"), "gateway.toml")
    assert gateway.kubernetes is not None
    assert (gateway.kubernetes.service, gateway.kubernetes.namespace) == (RELEASE, NAMESPACE)
    assert str(settings_from(told).access.client_authority) == "/run/secrets/holdfast/client-ca.crt"


def test_a_pod_is_drained_by_a_command_that_there_is_and_given_the_time_for_it(helm: Path, tmp_path: Path) -> None:
    found = objects(render(helm, tmp_path))
    for item, seconds in ((found["StatefulSet", RELEASE], 5), (found["DaemonSet", "llm-gateway"], 25)):
        pod = pod_of(item)
        (container,) = pod["containers"]
        command = container["lifecycle"]["preStop"]["exec"]["command"]
        assert command[-3] == "holdfast_inference.server.operator" and command[-2] in VERBS
        assert json.loads(command[-1]) == {"hand_over_after": seconds}
        assert pod["terminationGracePeriodSeconds"] >= seconds + 10


def test_memory_follows_the_plans_of_the_models(helm: Path, tmp_path: Path) -> None:
    two = {"models": {name: {"folder": f"{name}/1", "memoryBytes": 1000 * MIB} for name in ("a", "b")}}
    (container,) = pod_of(objects(render(helm, tmp_path, two))["StatefulSet", RELEASE])["containers"]
    assert container["resources"]["limits"]["memory"] == "2297Mi"
    assert container["resources"]["requests"] == container["resources"]["limits"]


@pytest.mark.parametrize(
    ("nodes", "wanted"), [(3, {"minAvailable": 2}), (2, {"maxUnavailable": 1}), (1, {"maxUnavailable": 1})]
)
def test_a_budget_never_makes_a_drain_wait_for_ever(
    helm: Path, tmp_path: Path, nodes: int, wanted: dict[str, int]
) -> None:
    budget = objects(render(helm, tmp_path, {"nodes": VALUES["nodes"][:nodes]}))["PodDisruptionBudget", RELEASE]["spec"]
    assert {name: value for name, value in budget.items() if name.endswith("vailable")} == wanted
    # Of engines that never become ready, a drain may take every one.
    assert budget["unhealthyPodEvictionPolicy"] == "AlwaysAllow"


def test_each_engine_has_the_volume_of_its_node(helm: Path, tmp_path: Path) -> None:
    found = objects(render(helm, tmp_path))
    volumes = [item for (kind, _), item in found.items() if kind == "PersistentVolume"]
    pairs = {
        item["spec"]["claimRef"]["name"]: item["spec"]["nodeAffinity"]["required"]["nodeSelectorTerms"][0][
            "matchExpressions"
        ][0]["values"]
        for item in volumes
    }
    (template,) = found["StatefulSet", RELEASE]["spec"]["volumeClaimTemplates"]
    name = template["metadata"]["name"]
    assert pairs == {f"{name}-{RELEASE}-{number}": [node] for number, node in enumerate(VALUES["nodes"])}


def test_gateways_are_where_models_are(helm: Path, tmp_path: Path) -> None:
    gateway = objects(render(helm, tmp_path, {"nodes": ["two", "one"]}))["DaemonSet", "llm-gateway"]
    (term,) = pod_of(gateway)["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][
        "nodeSelectorTerms"
    ]
    assert term == {"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": ["one", "two"]}]}
    anywhere = pod_of(objects(render(helm, tmp_path, SHARED))["DaemonSet", "llm-gateway"])
    assert "affinity" not in anywhere


def test_a_deployment_adds_before_it_takes_away_and_may_share_a_node_meanwhile(helm: Path, tmp_path: Path) -> None:
    item = objects(render(helm, tmp_path, SHARED))["Deployment", RELEASE]
    assert item["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    (term,) = pod_of(item)["affinity"]["podAntiAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    assert term["matchLabelKeys"] == ["pod-template-hash"]


@pytest.mark.parametrize(
    ("changes", "bounds", "budget"),
    [
        ({}, (2, 3), {"maxUnavailable": 1}),
        ({"nodes": ["one"]}, (1, 1), {"maxUnavailable": 1}),
        ({"nodes": list("abcde"), "disruption": {"minAvailable": 3}}, (3, 5), {"maxUnavailable": 1}),
        ({**SHARED, "maxReplicas": 9}, (2, 9), {"maxUnavailable": 1}),
        ({"nodes": list("abcde"), "minReplicas": 4}, (4, 5), {"minAvailable": 2}),
    ],
    ids=str,
)
def test_engines_follow_the_load_between_what_must_be_and_what_there_are_nodes_for(
    helm: Path, tmp_path: Path, changes: dict[str, Any], bounds: tuple[int, int], budget: dict[str, int]
) -> None:
    own = {name: changes[name] for name in changes if name.endswith("Replicas")}
    others = {name: changes[name] for name in changes if name not in own}
    found = objects(render(helm, tmp_path, others, {"autoscaling": SCALING["autoscaling"] | own}))
    autoscaler = found["HorizontalPodAutoscaler", RELEASE]["spec"]
    assert (autoscaler["minReplicas"], autoscaler["maxReplicas"]) == bounds
    target = autoscaler["scaleTargetRef"]
    # A number that two write would go to and fro.
    assert "replicas" not in found[target["kind"], target["name"]]["spec"]
    told = found["PodDisruptionBudget", RELEASE]["spec"]
    assert {name: value for name, value in told.items() if name.endswith("vailable")} == budget


def test_they_come_at_once_and_go_one_by_one_by_what_is_served_and_nothing_else(helm: Path, tmp_path: Path) -> None:
    found = objects(render(helm, tmp_path, SCALING))
    autoscaler = found["HorizontalPodAutoscaler", RELEASE]["spec"]
    assert [one["pods"]["metric"]["name"] for one in autoscaler["metrics"]] == METRICS
    assert autoscaler["behavior"]["scaleUp"]["stabilizationWindowSeconds"] == 0
    down = autoscaler["behavior"]["scaleDown"]
    assert (down["stabilizationWindowSeconds"], [one["value"] for one in down["policies"]]) == (300, [1])
    alone = {"autoscaling": SCALING["autoscaling"] | {"firstTokenMilliseconds": 0}}
    autoscaler = objects(render(helm, tmp_path, alone))["HorizontalPodAutoscaler", RELEASE]["spec"]
    assert [one["pods"]["metric"]["name"] for one in autoscaler["metrics"]] == METRICS[:1]


def test_the_image_that_tells_the_load_is_the_one_that_the_catalogue_builds(helm: Path, tmp_path: Path) -> None:
    catalogue = yaml.safe_load((ROOT / "inference/artifacts.yml").read_text(encoding="utf-8"))["bundle_artifacts"]
    (entry,) = (one for one in catalogue if one["name"] == "engine-metrics")
    (container,) = pod_of(objects(render(helm, tmp_path, SCALING))["Deployment", "llm-metrics"])["containers"]
    assert container["image"] == entry["image"]["reference"].format(version=entry["version"])
    source = ROOT / "inference/build/engine-metrics"
    flags = {argument.partition("=")[0] for argument in container["args"]}
    assert {"--engines", "--key-file"} <= flags
    assert all(f'"{name}"' in (source / "metrics.go").read_text(encoding="utf-8") for name in METRICS)


def test_it_is_let_through_to_engines_and_to_the_api_and_nowhere_else(helm: Path, tmp_path: Path) -> None:
    found = objects(render(helm, tmp_path, ALL))
    labels = found["Deployment", "llm-metrics"]["spec"]["template"]["metadata"]["labels"]
    rules = found["NetworkPolicy", RELEASE + "-engine"]["spec"]["ingress"]
    assert [{"podSelector": {"matchLabels": labels}}] in [rule["from"] for rule in rules]
    own = found["NetworkPolicy", "llm-metrics"]["spec"]
    assert own["podSelector"] == {"matchLabels": labels}
    nodes = [{"ipBlock": {"cidr": cidr}} for cidr in ALL["networkPolicy"]["gateways"]]
    assert [rule["from"] for rule in own["ingress"]] == [nodes]
    engines = {"podSelector": found["StatefulSet", RELEASE]["spec"]["selector"]}
    assert [rule["to"] for rule in own["egress"]] == [nodes, [engines]]
    assert [rule["ports"][0]["port"] for rule in own["egress"]] == [6443, "http"]


def test_another_model_makes_new_pods_and_the_same_one_does_not(helm: Path, tmp_path: Path) -> None:
    def mark(folder: str) -> str:
        models = {"models": {"shop": {"folder": folder, "memoryBytes": MIB}}}
        template = objects(render(helm, tmp_path, models))["StatefulSet", RELEASE]["spec"]["template"]
        return str(template["metadata"]["annotations"]["checksum/settings"])

    assert mark("shop/1") == mark("shop/1") != mark("shop/2")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"models": {}}, "models is empty"),
        ({"nodes": []}, "nodes is empty"),
        ({**SHARED, "store": {"path": "/m"}}, "store.claim is empty"),
        ({"models": {"shop": {"folder": "../etc", "memoryBytes": MIB}}}, "does not match pattern"),
        ({"models": {"shop": {"folder": "shop"}}}, "memoryBytes"),
        ({"engine": {"cpu": 1.5}}, "/engine/cpu"),
        ({"engine": {"thraeds": 1}}, "thraeds"),
        ({"gateway": {"namespace": NAMESPACE}}, "gateway.namespace is the engines' own"),
        ({"gateway": {"tls": False, "clientCertificates": True}}, "/gateway/tls"),
        ({"autoscaling": SCALING["autoscaling"] | {"maxReplicas": 9}}, "models on 3 nodes only"),
        ({"autoscaling": {"enabled": True}}, "autoscaling.metrics.authority is empty"),
        ({"autoscaling": {"metrics": {"authority": "/ca.crt"}}}, "/autoscaling/metrics/authority"),
        ({"networkPolicy": {"enabled": True, "gateways": []}}, "/networkPolicy/gateways"),
    ],
    ids=str,
)
def test_a_mistake_is_refused_by_name(helm: Path, tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    assert said in render(helm, tmp_path, changes, fails=True)


def test_no_secret_is_in_what_is_rendered(helm: Path, tmp_path: Path) -> None:
    kinds = {kind for kind, _ in objects(render(helm, tmp_path, ALL))}
    assert "Secret" not in kinds
