# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hosts of a run, and the two clusters that its tests ask: one of three servers and an agent, one alone."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.hosts import HostSet, load, session_set
from tests.hosts.locks import lock
from tests.integration.kubernetes_certificates import Credentials
from tests.integration.kubernetes_remote import wait_until

from .etcd import Store, bring_programs
from .inputs import Inputs
from .node import Node
from .reach import Reach

SET_NAME = "k3s-contract"
HOSTS = 6
PATIENCE_SECONDS = 1500
# Two releases unpacked, and the images of both.
DISK_GB = 5
TOKEN = "contract-server-password"
AGENT_TOKEN = "contract-agent-password"
SECRETS = "/etc/rancher/k3s/datastore"
# Not asked of a binary here: they need images, or kernels, that tests without a registry do not have.
DISABLED = ["traefik", "servicelb", "metrics-server"]


@dataclass(frozen=True)
class Site:
    """All hosts: three servers and an agent of one cluster, two for others, the last with every datastore on it."""

    inputs: Inputs
    servers: tuple[Node, Node, Node]
    agent: Node
    solo: Node
    second: Node
    store_host: Reach
    host_set: HostSet

    @property
    def nodes(self) -> tuple[Node, ...]:
        """Return the nodes of the large cluster."""
        return (*self.servers, self.agent)


@contextmanager
def make_site(inputs: Inputs) -> Iterator[Site]:
    """Give six hosts with nothing of k3s on them, and take them away again."""
    busy = f"Another run of the k3s contract tests has been using its hosts for {PATIENCE_SECONDS} s; nothing was done."
    with (
        lock("tests-k3s-contract", busy=busy, wait_seconds=PATIENCE_SECONDS),
        tempfile.TemporaryDirectory(prefix="k3s-") as folder,
        ExitStack() as last,
    ):
        if inputs.existing_set:
            host_set = load(inputs.existing_set)
        else:
            host_set = last.enter_context(session_set(SET_NAME, count=HOSTS, tier=inputs.tier, disk_gb=DISK_GB))
        remotes = [Reach(host_set, host, Path(folder)) for host in host_set.hosts]
        for remote in remotes:
            last.callback(remote.hang_up)
        yield _site(inputs, host_set, remotes)


def _site(inputs: Inputs, host_set: HostSet, remotes: list[Reach]) -> Site:
    one, two, three = (Node(remote, "server") for remote in remotes[:3])
    bring_programs(remotes[5], inputs.etcd)
    site = Site(
        inputs=inputs,
        servers=(one, two, three),
        agent=Node(remotes[3], "agent"),
        solo=Node(remotes[4], "server"),
        second=Node(remotes[5], "agent"),
        store_host=remotes[5],
        host_set=host_set,
    )
    every = (*site.nodes, site.solo, site.second)
    if inputs.existing_set:
        in_parallel(lambda node: node.wipe(), every)
    in_parallel(lambda node: install(inputs, node), every)
    return site


def install(inputs: Inputs, node: Node) -> None:
    """Bring the binary under test with its images and the test's own image."""
    node.install(inputs.release, {f"contract-{inputs.test_image.name}": inputs.test_image})


def datastore(store: Store) -> dict[str, str]:
    """Return the keys by which a server finds its datastore."""
    return {
        "datastore-endpoint": store.endpoint,
        "datastore-cafile": f"{SECRETS}/ca.crt",
        "datastore-certfile": f"{SECRETS}/client.crt",
        "datastore-keyfile": f"{SECRETS}/client.key",
    }


def datastore_files(store: Store, client: Credentials | None = None) -> dict[str, bytes]:
    """Return the files that these keys name."""
    known = client or store.client
    return {
        f"{SECRETS}/ca.crt": store.authority,
        f"{SECRETS}/client.crt": known.certificate,
        f"{SECRETS}/client.key": known.key,
    }


def lean(node: Node) -> dict[str, Any]:
    """Return what every server of these tests is told: nothing that needs a registry."""
    return {
        "disable": DISABLED,
        "disable-network-policy": True,
        "disable-helm-controller": True,
        "kubelet-arg": node.host_arguments(),
    }


def full_token(server: Node, password: str, user: str = "server") -> str:
    """Return the token with the hash of the authority as the contract computes it."""
    authority = server.run("cat /var/lib/rancher/k3s/server/tls/server-ca.crt").encode()
    return f"K10{hashlib.sha256(authority).hexdigest()}::{user}:{password}"


def in_parallel(work: Any, items: Any) -> list[Any]:
    """Do the same to several nodes at once; the first exception ends it."""
    several = list(items)
    with ThreadPoolExecutor(max_workers=len(several)) as pool:
        return list(pool.map(work, several))


def ready_nodes(server: Node) -> set[str]:
    """Return the names of the nodes that are Ready, none while the API does not answer."""
    try:
        items = server.api().get("/api/v1/nodes")["items"]
    except (OSError, ValueError, AssertionError, KeyError, RuntimeError):
        return set()
    return {item["metadata"]["name"] for item in items if is_ready(item)}


def is_ready(resource: Mapping[str, Any]) -> bool:
    """Return whether a node or a pod says that it is ready."""
    conditions = resource.get("status", {}).get("conditions", [])
    return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)


def wait_ready(server: Node, names: set[str], seconds: float = 120) -> None:
    """Return when all these nodes are Ready."""
    wait_until(f"{', '.join(sorted(names))} ready", lambda: names <= ready_nodes(server), seconds, server.journal)
