# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bundle's controllers and scheduler beside an API server on loopback, and nodes that nobody is.

Pods are made, placed and taken away as on any cluster; that one runs, is ready or has ended is what the test says in
its kubelet's place.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from .local_api import LocalApi

CONTROLLERS = "deployment-controller,replicaset-controller,persistentvolume-binder-controller"
Pod = dict[str, Any]


@dataclass(frozen=True)
class Workings:
    """The cluster's pods of one namespace, and a kubelet's words about them."""

    api: LocalApi
    namespace: str

    def pods(self) -> list[Pod]:
        """Those that are not on their way out."""
        return [pod for pod in self._all() if "deletionTimestamp" not in pod["metadata"]]

    def _all(self) -> list[Pod]:
        told = self.api.kubectl("get", "pods", "--namespace", self.namespace, "--output=json")
        found: list[Pod] = json.loads(told)["items"]
        return found

    def say_ready(self, pod: Pod) -> None:
        """That it runs and its probes are answered."""
        since = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
        conditions = [{"type": "Ready", "status": "True", "lastTransitionTime": since}]
        status = {"status": {"phase": "Running", "conditions": conditions}}
        name = pod["metadata"]["name"]
        self.api.kubectl(
            *("patch", "pod", name, "--namespace", self.namespace, "--subresource=status", "--type=merge"),
            *("--patch", json.dumps(status)),
        )

    def let_go(self) -> None:
        """That those which were told to stop have ended."""
        for pod in self._all():
            if "deletionTimestamp" in pod["metadata"]:
                name = pod["metadata"]["name"]
                self.api.kubectl("delete", "pod", name, "--namespace", self.namespace, "--force", "--grace-period=0")


@contextlib.contextmanager
def local_controllers(api: LocalApi, folder: Path, nodes: Sequence[str]) -> Iterator[None]:
    """Start both, with these nodes, and end both."""
    for node in nodes:
        _make_node(api, node)
    commands = (
        ["kube-controller-manager", f"--controllers={CONTROLLERS}", "--leader-elect=false", "--secure-port=0"],
        ["kube-scheduler", "--leader-elect=false", "--secure-port=0"],
    )
    with contextlib.ExitStack() as running:
        for program, *arguments in commands:
            log = running.enter_context((folder / f"{program}.log").open("wb"))
            command = [str(api.kubernetes), program, f"--kubeconfig={api.kubeconfig}", *arguments]
            process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env={"PATH": os.defpath})
            running.callback(process.wait)
            running.callback(process.kill)
        yield


def _make_node(api: LocalApi, name: str) -> None:
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}}}
    api.kubectl("create", "-f", "-", given=yaml.safe_dump(node))
    room = {"cpu": "8", "memory": "16Gi", "pods": "20"}
    status = {"status": {"capacity": room, "allocatable": room, "conditions": [{"type": "Ready", "status": "True"}]}}
    api.kubectl("patch", "node", name, "--subresource=status", "--type=merge", "--patch", json.dumps(status))
    # A node is born with one, and its kubelet's first words take it away.
    api.kubectl("patch", "node", name, "--type=merge", "--patch", json.dumps({"spec": {"taints": []}}))
