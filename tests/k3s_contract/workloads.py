# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pods of the test image, one on each node, and what they are seen to do."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

from tests.integration.kubernetes_remote import wait_until

from .api import Api, ApiError
from .inputs import Inputs
from .node import Node
from .site import is_ready

NAME = "steady"
PORT = 8080
PODS = "/api/v1/namespaces/default/pods"
SETS = "/apis/apps/v1/namespaces/default/daemonsets"


def image_reference(archive: Path) -> str:
    """Return the name under which the archive's image is known."""
    with tarfile.open(archive) as opened:
        member = opened.extractfile("manifest.json")
        assert member is not None, f"{archive}: manifest.json is not a file"
        return str(json.load(member)[0]["RepoTags"][0])


def run_everywhere(server: Node, inputs: Inputs, nodes: set[str]) -> None:
    """Have one pod of the test image on each node, and wait until all are ready."""
    labels = {"app": NAME}
    container = {
        "name": "only",
        "image": image_reference(inputs.test_image),
        "imagePullPolicy": "Never",
        "args": list(inputs.test_arguments),
    }
    body = {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": NAME},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "containers": [container],
                    "tolerations": [{"operator": "Exists"}],
                    "terminationGracePeriodSeconds": 1,
                },
            },
        },
    }
    api = server.api()
    # The default service account comes a moment after the API.
    wait_until(
        "the default service account", lambda: api.status("/api/v1/namespaces/default/serviceaccounts/default") == 200
    )
    api.post(SETS, body)
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": NAME},
        "spec": {"selector": labels, "ports": [{"port": 80, "targetPort": PORT}], "type": "NodePort"},
    }
    api.post("/api/v1/namespaces/default/services", service)
    wait_until(
        "a pod runs on each node",
        lambda: nodes <= {pod["spec"]["nodeName"] for pod in pods(api) if is_ready(pod)},
        120,
        lambda: json.dumps([pod["status"] for pod in pods(api)], indent=1)[-3000:],
    )


def pods(api: Api) -> list[Any]:
    """Return the pods of the test."""
    return list(api.get(f"{PODS}?labelSelector=app%3D{NAME}")["items"])


def container_ids(api: Api) -> dict[str, str]:
    """Return the container of each pod, by node."""
    return {pod["spec"]["nodeName"]: pod["status"]["containerStatuses"][0]["containerID"] for pod in pods(api)}


def node_port(api: Api) -> int:
    """Return the port on which every node serves the pods."""
    return int(api.get(f"/api/v1/namespaces/default/services/{NAME}")["spec"]["ports"][0]["nodePort"])


def create_config_map(api: Api, name: str) -> bool:
    """Create one ConfigMap; return whether the server said yes, or said that it is there already."""
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"name": name}}
    try:
        api.post("/api/v1/namespaces/default/configmaps", body)
    except ApiError as error:
        return error.status == 409
    except OSError:
        return False
    return True


def config_maps(api: Api, prefix: str) -> set[str]:
    """Return the names of the ConfigMaps that begin so."""
    items = api.get("/api/v1/namespaces/default/configmaps")["items"]
    return {item["metadata"]["name"] for item in items if item["metadata"]["name"].startswith(prefix)}
