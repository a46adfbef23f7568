# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The clusters under test, started once for a run: what they are told is what the tests then look for."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import yaml

from .etcd import Store
from .node import Node
from .site import (
    AGENT_TOKEN,
    DISABLED,
    TOKEN,
    Site,
    datastore,
    datastore_files,
    full_token,
    in_parallel,
    lean,
    wait_ready,
)

MAIN_PORT, SOLO_PORT, UPGRADE_PORT, SPARE_PORT = 2379, 2479, 2579, 2679
UNKNOWN_KEY = "contract-unknown-key"
MANIFESTS = "/var/lib/rancher/k3s/server/manifests"


@dataclass(frozen=True)
class Cluster:
    """A running cluster and its datastore."""

    store: Store
    servers: tuple[Node, ...]
    agents: tuple[Node, ...]
    ready_seconds: float

    @property
    def first(self) -> Node:
        """Return the server that tests ask when it does not matter which."""
        return self.servers[0]

    @property
    def names(self) -> set[str]:
        """Return the names of all nodes."""
        return {node.name for node in (*self.servers, *self.agents)}


def start_main(site: Site) -> Cluster:
    """Start three servers at the same instant on an empty datastore of three members, then an agent."""
    store = Store(site.store_host, "main", MAIN_PORT, members=3)
    store.start()
    in_parallel(lambda server: _configure_main(server, store), site.servers)
    started = time.monotonic()
    in_parallel(lambda server: server.start(), site.servers)
    in_parallel(lambda server: server.wait_active(), site.servers)
    wait_ready(site.servers[0], {server.name for server in site.servers})
    seconds = time.monotonic() - started
    _join(site)
    cluster = Cluster(store, site.servers, (site.agent,), seconds)
    wait_ready(site.servers[0], cluster.names)
    return cluster


def _configure_main(server: Node, store: Store) -> None:
    config = {
        **lean(server),
        **datastore(store),
        "token": TOKEN,
        "agent-token": AGENT_TOKEN,
        "tls-san": ["main.contract.test", "192.0.2.10"],
        "secrets-encryption": True,
        "node-label": ["contract.test/from=file"],
        "node-taint": [],
        "kube-apiserver-arg": [
            "enable-admission-plugins+=DefaultStorageClass",
            "audit-log-maxage=7",
            "audit-log-maxage=9",
        ],
        "kube-controller-manager-arg": ["--terminated-pod-gc-threshold=100"],
        "kube-scheduler-arg": ["profiling"],
    }
    config["kubelet-arg"] = [*config["kubelet-arg"], "max-pods=60", "kube-reserved=cpu=10m,memory=10Mi"]
    drop_ins: dict[str, dict[str, Any]] = {
        "10-first.yaml": {"tls-san+": ["added.contract.test"], "node-label+": "contract.test/appended=yes"},
        "20-second.yml": {UNKNOWN_KEY: "x"},
        "30-ignored.txt": {"token": "must-not-be-read"},
        "40-deeper/50-ignored.yaml": {"token": "must-not-be-read-either"},
    }
    server.configure(config, drop_ins, files=datastore_files(store))


def _join(site: Site) -> None:
    first, agent = site.servers[0], site.agent
    agent.configure(
        {
            "server": f"https://{first.address}:6443",
            "token": full_token(first, AGENT_TOKEN, "node"),
            "node-label": ["contract.test/role=agent"],
            "node-taint": ["contract.test/reserved=yes:PreferNoSchedule"],
            "kubelet-arg": agent.host_arguments(),
        },
        files={"/etc/rancher/k3s/registries.yaml": REGISTRIES.encode()},
    )
    # A bad archive beside the good ones: it must not stop them.
    agent.remote.place({"/var/lib/rancher/k3s/agent/images/broken.tar": b"this is no archive"})
    agent.start()
    agent.wait_active()


REGISTRIES = """mirrors:
  registry.contract.test:
    endpoint:
      - "http://127.0.0.1:5999"
      - "https://mirror.contract.test"
  "*":
    endpoint:
      - "https://127.0.0.1:5998"
configs:
  "mirror.contract.test":
    tls:
      insecure_skip_verify: true
"""


def solo_config(server: Node, store: Store) -> dict[str, Any]:
    """Return the first configuration of the lone server; tests change it step by step."""
    return {
        **lean(server),
        **datastore(store),
        "token": TOKEN,
        # Unquoted octal, as people write it; the contract says what comes of it.
        "node-label": ["contract.test/first=1", "contract.test/kept=old"],
    }


def start_solo(site: Site) -> Cluster:
    """Start one server on an etcd of one member, with short-lived certificates and a manifest of its own."""
    store = Store(site.store_host, "solo", SOLO_PORT)
    store.start()
    server = site.solo
    config = solo_config(server, store)
    text = _dump(config) + "write-kubeconfig-mode: 0644\n"
    server.configure(
        text,
        environment={"CATTLE_NEW_SIGNED_CERT_EXPIRATION_DAYS": "30"},
        files={
            **datastore_files(store),
            f"{MANIFESTS}/contract-one.yaml": manifest("contract-one").encode(),
            f"{MANIFESTS}/contract-skipped.yaml": manifest("contract-skipped").encode(),
            f"{MANIFESTS}/contract-skipped.yaml.skip": b"",
        },
    )
    started = time.monotonic()
    server.start()
    server.wait_active()
    wait_ready(server, {server.name})
    return Cluster(store, (server,), (), time.monotonic() - started)


def manifest(name: str, value: str = "first") -> str:
    """Return a manifest of one ConfigMap."""
    return (
        f"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\n  namespace: default\ndata:\n  value: {value}\n"
    )


def _dump(config: dict[str, Any]) -> str:
    return yaml.safe_dump(config, sort_keys=False)


__all__ = ["DISABLED", "Cluster", "manifest", "solo_config", "start_main", "start_solo"]
