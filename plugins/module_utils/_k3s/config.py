# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the site wants of k3s, put together from what Holdfast sets and what the operator adds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from . import flags

# What Holdfast decides, and the variable by which it is told; a second place for the same would be a second truth.
DECIDED = {
    "config": "nothing: the file is always /etc/rancher/k3s/config.yaml",
    "data-dir": "nothing: the data are always below /var/lib/rancher/k3s",
    "token": "the secret k3s-token of the site",
    "token-file": "the secret k3s-token of the site",
    "agent-token": "the secret k3s-agent-token of the site",
    "agent-token-file": "the secret k3s-agent-token of the site",
    "server": "site_vip, or the group servers",
    "cluster-init": "nothing: the datastore is an etcd of its own",
    "cluster-reset": "playbooks/restore.yml",
    "cluster-reset-restore-path": "playbooks/restore.yml",
    "datastore-endpoint": "k3s_server_etcd_hosts",
    "datastore-cafile": "nothing: the certificates are those of the role etcd's authority",
    "datastore-certfile": "nothing: the certificates are those of the role etcd's authority",
    "datastore-keyfile": "nothing: the certificates are those of the role etcd's authority",
    "node-name": "the name in the inventory",
    "node-ip": "node_address",
    "node-label": "k3s_node_labels",
    "node-taint": "k3s_node_taints",
    "with-node-id": "the name in the inventory",
    "private-registry": "k3s_node_registries",
    "protect-kernel-defaults": "k3s_node_protect_kernel_defaults",
    "secrets-encryption": "k3s_server_secrets_encryption",
    "secrets-encryption-provider": "k3s_server_secrets_encryption_provider",
    "flannel-backend": "k3s_server_flannel_backend",
    "cluster-cidr": "k3s_server_cluster_cidr",
    "service-cidr": "k3s_server_service_cidr",
    "cluster-dns": "k3s_server_cluster_dns",
    "cluster-domain": "k3s_server_cluster_domain",
    "disable-agent": "nothing: every node runs pods",
    "rootless": "nothing: k3s runs as root here",
    "docker": "nothing: k3s brings its own containerd",
}


def merge(ours: Mapping[str, Any], extra: Mapping[str, Any]) -> dict[str, Any]:
    """Our configuration with the operator's: lists are added to, and an argument of the same name gives way to his."""
    merged = dict(ours)
    for key, value in extra.items():
        before = merged.get(key)
        if isinstance(before, list):
            added = value if isinstance(value, list) else [value]
            merged[key] = _arguments(before, added) if key.endswith("-arg") else [*before, *_new(before, added)]
        else:
            merged[key] = value
    return merged


def _arguments(ours: Sequence[str], added: Sequence[Any]) -> list[Any]:
    names = {_name(item) for item in added}
    return [*(item for item in ours if _name(item) not in names), *added]


def _name(argument: Any) -> str:
    """`key=value` replaces what had that key; `key+=value` and `key-=value` stand beside it."""
    key = str(argument).partition("=")[0]
    return (key[2:] if key.startswith("--") else key).rstrip()


def _new(before: Sequence[Any], added: Sequence[Any]) -> list[Any]:
    return [item for item in added if item not in before]


def problems(extra: Mapping[Any, Any], verb: str, version: str = "") -> list[str]:
    """What is wrong with the operator's keys: misspelt, of the other verb, of the wrong type, or not his to set."""
    if not isinstance(extra, Mapping):
        return [f"it is no map of keys but {extra!r}"]
    theirs = {key: value for key, value in extra.items() if key not in DECIDED}
    ours = [f"{key} is decided by Holdfast; use {DECIDED[key]}" for key in extra if key in DECIDED]
    return [*ours, *flags.problems(theirs, verb, version)]


def disagreements(values: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What must be equal on all servers and is not. `values` has for each server the value of each name."""
    return list(_disagreements(values))


def _disagreements(values: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    names = sorted({name for of_one in values.values() for name in of_one})
    for name in names:
        seen: dict[str, list[str]] = {}
        for server, of_one in values.items():
            seen.setdefault(repr(of_one.get(name)), []).append(server)
        if len(seen) > 1:
            told = " and ".join(f"{value} on {', '.join(servers)}" for value, servers in seen.items())
            yield f"{name} must be the same on all servers, and is {told}; set it once, for the group"


def must_agree(extra: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the operator's keys that k3s wants equal on all servers, and never compares by itself."""
    return {key: value for key, value in extra.items() if key in flags.SAME_EVERYWHERE}
