# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Section 4: which files there are, whose they are, and with which mode."""

from __future__ import annotations

import re

import pytest
import yaml

from .clusters import Cluster
from .lines import contract
from .node import Node

DATA = "/var/lib/rancher/k3s"
SERVER, AGENT, TLS = f"{DATA}/server", f"{DATA}/agent", f"{DATA}/server/tls"
SERVER_MODES = {
    "/etc/rancher/k3s/k3s.yaml": "600",
    "/etc/rancher/node": "755",
    "/etc/rancher/node/password": "600",
    SERVER: "700",
    f"{SERVER}/token": "600",
    f"{SERVER}/agent-token": "600",
    f"{SERVER}/cred/passwd": "600",
    f"{SERVER}/cred/ipsec.psk": "600",
    f"{SERVER}/cred/encryption-config.json": "600",
    f"{SERVER}/cred/encryption-state.json": "600",
    f"{TLS}/temporary-certs": "700",
    f"{SERVER}/etc/egress-selector-config.yaml": "600",
}
AGENT_MODES = {
    "/etc/rancher/node": "755",
    "/etc/rancher/node/password": "600",
    f"{AGENT}/client-kubelet.crt": "600",
    f"{AGENT}/client-kubelet.key": "600",
    f"{AGENT}/serving-kubelet.crt": "600",
    f"{AGENT}/serving-kubelet.key": "600",
    f"{AGENT}/client-kube-proxy.crt": "600",
    f"{AGENT}/client-kube-proxy.key": "600",
    f"{AGENT}/client-k3s-controller.crt": "600",
    f"{AGENT}/client-k3s-controller.key": "600",
    f"{AGENT}/client-ca.crt": "600",
    f"{AGENT}/server-ca.crt": "600",
    f"{AGENT}/etc/kubelet.conf.d": "700",
    f"{AGENT}/etc/kubelet.conf.d/00-k3s-defaults.conf": "600",
    f"{AGENT}/pod-manifests": "750",
}
KEYS = [
    *("server-ca", "client-ca", "request-header-ca", "etcd/server-ca", "etcd/peer-ca"),
    *("client-admin", "client-controller", "client-scheduler", "client-kube-apiserver", "client-kube-proxy"),
    *("client-auth-proxy", "client-k3s-controller", "client-k3s-cloud-controller", "serving-kube-apiserver"),
]
AGENT_FILES = [
    f"{AGENT}/kubelet.kubeconfig",
    f"{AGENT}/kubeproxy.kubeconfig",
    f"{AGENT}/k3scontroller.kubeconfig",
    f"{AGENT}/etc/containerd/config.toml",
    f"{AGENT}/etc/crictl.yaml",
    f"{AGENT}/etc/flannel/net-conf.json",
    f"{AGENT}/etc/k3s-agent-load-balancer.json",
    f"{AGENT}/containerd/containerd.log",
    "/run/flannel/subnet.env",
    "/run/k3s/containerd/containerd.sock",
]


def mode(node: Node, path: str) -> str:
    """Return mode and owner of a file, or what there is instead."""
    return node.attempt(f"stat -L -c '%a %U' {path} 2>&1").stdout.strip()


@contract("4", "S")
@pytest.mark.parametrize("path", SERVER_MODES)
def test_a_server_has_the_file_with_its_mode(main: Cluster, path: str) -> None:
    assert mode(main.first, path) == f"{SERVER_MODES[path]} root"


@contract("4", "S")
@pytest.mark.parametrize("path", AGENT_MODES)
def test_an_agent_has_the_file_with_its_mode(main: Cluster, path: str) -> None:
    assert mode(main.agents[0], path) == f"{AGENT_MODES[path]} root"


@contract("4", "S, D")
@pytest.mark.parametrize("name", KEYS)
def test_a_server_has_the_certificate_and_its_key(main: Cluster, name: str) -> None:
    assert mode(main.first, f"{TLS}/{name}.crt").endswith(" root")
    assert mode(main.first, f"{TLS}/{name}.key").endswith(" root")


@contract("4", "S", unconfirmed=True)
def test_all_keys_of_a_server_are_for_root_only(main: Cluster) -> None:
    found = main.first.run(f"find {TLS} -name '*.key' -printf '%m %p\\n'").splitlines()
    assert found and [line for line in found if not line.startswith("600 ")] == []


@contract("4", "S")
def test_a_server_has_the_key_of_service_accounts(main: Cluster) -> None:
    assert mode(main.first, f"{TLS}/service.key").endswith(" root")


@contract("4", "S", unconfirmed=True)
def test_the_listener_keeps_its_certificate_in_a_file_of_its_own(main: Cluster) -> None:
    assert mode(main.first, f"{TLS}/dynamic-cert.json") == "600 root"


@contract("4", "S", unconfirmed=True)
def test_the_listener_mirrors_its_certificate_in_a_secret(main: Cluster) -> None:
    assert main.first.api().get("/api/v1/namespaces/kube-system/secrets/k3s-serving")["type"] == "kubernetes.io/tls"


@contract("4", "S")
@pytest.mark.parametrize("path", AGENT_FILES)
def test_an_agent_writes_the_file(main: Cluster, path: str) -> None:
    assert main.agents[0].attempt(f"test -e {path}").returncode == 0, f"{path} is not there"


@contract("4", "S", unconfirmed=True)
def test_the_network_of_pods_has_its_configuration_in_the_data_directory(main: Cluster) -> None:
    assert main.agents[0].attempt(f"test -s {AGENT}/etc/cni/net.d/10-flannel.conflist").returncode == 0


@contract("4", "S")
def test_the_node_password_is_32_hex_digits_and_a_newline(main: Cluster) -> None:
    for node in (main.first, main.agents[0]):
        assert re.fullmatch(r"[0-9a-f]{32}\n", node.run("cat /etc/rancher/node/password"))


@contract("4", "S")
def test_the_working_directory_of_a_server_is_its_data_directory(main: Cluster) -> None:
    main_process = main.first.show("MainPID")
    assert main.first.run(f"readlink /proc/{main_process}/cwd").strip() == SERVER


@contract("4", "S", unconfirmed=True)
def test_no_embedded_datastore_is_made_beside_an_external_one(main: Cluster) -> None:
    assert main.first.run(f"find {SERVER}/db -type f 2>/dev/null | head -3").strip() == ""


@contract("4", "S")
def test_the_administrators_kubeconfig_names_the_local_listener_and_embeds_its_keys(main: Cluster) -> None:
    document = yaml.safe_load(main.first.run("cat /etc/rancher/k3s/k3s.yaml"))
    cluster, user = document["clusters"][0]["cluster"], document["users"][0]["user"]
    assert cluster["server"] == "https://127.0.0.1:6443"
    assert set(user) >= {"client-certificate-data", "client-key-data"} and "certificate-authority-data" in cluster


@contract("1", "S")
def test_secrets_of_the_command_line_leave_the_process_list(main: Cluster) -> None:
    for server in main.servers:
        line = server.run(f"tr '\\0' ' ' < /proc/{server.show('MainPID')}/cmdline").strip()
        assert re.fullmatch(r"\S*k3s server", line), line
