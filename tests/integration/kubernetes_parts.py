# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each part of a one-node cluster is told: command lines and configuration, no side effects."""

from __future__ import annotations

import base64
import json
from typing import Any

from .kubernetes_certificates import Credentials

PROGRAMS = "/opt/proof/bin"
SECRETS = "/etc/proof"
STATE = "/var/lib/etcd/proof"
POD_NETWORK = "10.42.0.0/24"
SERVICE_NETWORK = "10.43.0.0/16"
API_SERVICE = "10.43.0.1"
DNS_SERVICE = "10.43.0.10"
DOMAIN = "cluster.local"
RUNTIME = "unix:///run/containerd/containerd.sock"


def kubeconfig(server: str, authority: bytes, user: Credentials) -> bytes:
    """Return how a client finds the apiserver and proves who it is."""

    def encoded(pem: bytes) -> str:
        return base64.b64encode(pem).decode()

    cluster = {"server": server, "certificate-authority-data": encoded(authority)}
    credentials = {"client-certificate-data": encoded(user.certificate), "client-key-data": encoded(user.key)}
    return _json(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "proof", "cluster": cluster}],
            "users": [{"name": "proof", "user": credentials}],
            "contexts": [{"name": "proof", "context": {"cluster": "proof", "user": "proof"}}],
            "current-context": "proof",
        }
    )


def containerd_config(pause: str) -> bytes:
    """Return containerd's file. The machines under the hosts refuse negative out-of-memory scores."""
    return f"""
version = 3
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = '{pause}'
[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = true
  [plugins.'io.containerd.cri.v1.runtime'.cni]
    bin_dirs = ['{PROGRAMS}']
  [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
    runtime_type = 'io.containerd.runc.v2'
    [plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
      BinaryName = '{PROGRAMS}/runc'
      SystemdCgroup = false
""".encode()


def cni_config() -> bytes:
    """Return the pods' network: one bridge, addresses from the node's range."""
    ranges = [[{"subnet": POD_NETWORK}]]
    addresses = {"type": "host-local", "ranges": ranges, "routes": [{"dst": "0.0.0.0/0"}]}
    bridge = {"type": "bridge", "bridge": "cni0", "isGateway": True, "ipMasq": True, "ipam": addresses}
    mapping = {"type": "portmap", "capabilities": {"portMappings": True}}
    bandwidth = {"type": "bandwidth", "capabilities": {"bandwidth": True}}
    return _json({"cniVersion": "1.0.0", "name": "proof", "plugins": [bridge, mapping, bandwidth]})


def kubelet_config() -> bytes:
    """Return the kubelet's file: cgroup v1 driven through cgroupfs is what the container hosts have."""
    return _json(
        {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": f"{SECRETS}/ca.crt"},
            },
            "authorization": {"mode": "Webhook"},
            "tlsCertFile": f"{SECRETS}/kubelet.crt",
            "tlsPrivateKeyFile": f"{SECRETS}/kubelet.key",
            "containerRuntimeEndpoint": RUNTIME,
            "clusterDNS": [DNS_SERVICE],
            "clusterDomain": DOMAIN,
            "failCgroupV1": False,
            "cgroupDriver": "cgroupfs",
            "oomScoreAdj": 0,
        }
    )


def proxy_config() -> bytes:
    """Return kube-proxy's file. The kernel's conntrack limits are read-only in a container: 0 leaves them alone."""
    return _json(
        {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "mode": "nftables",
            "clientConnection": {"kubeconfig": f"{SECRETS}/kube-proxy.conf"},
            "clusterCIDR": POD_NETWORK,
            "oomScoreAdj": 0,
            "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
            # Both ends of a Service may sit on this node's bridge, where the answer would bypass the way back.
            "nftables": {"masqueradeAll": True},
        }
    )


def commands(address: str, node: str) -> dict[str, list[str]]:
    """Return the command line of each part, in the order of their start."""
    etcd = "https://127.0.0.1:2379"
    api = [
        f"--advertise-address={address}",
        f"--etcd-servers={etcd}",
        f"--etcd-cafile={SECRETS}/ca.crt",
        f"--etcd-certfile={SECRETS}/etcd-client.crt",
        f"--etcd-keyfile={SECRETS}/etcd-client.key",
        f"--client-ca-file={SECRETS}/ca.crt",
        f"--tls-cert-file={SECRETS}/kube-apiserver.crt",
        f"--tls-private-key-file={SECRETS}/kube-apiserver.key",
        f"--kubelet-certificate-authority={SECRETS}/ca.crt",
        f"--kubelet-client-certificate={SECRETS}/admin.crt",
        f"--kubelet-client-key={SECRETS}/admin.key",
        "--kubelet-preferred-address-types=InternalIP",
        f"--service-cluster-ip-range={SERVICE_NETWORK}",
        f"--service-account-issuer=https://kubernetes.default.svc.{DOMAIN}",
        f"--service-account-key-file={SECRETS}/service-accounts.key",
        f"--service-account-signing-key-file={SECRETS}/service-accounts.key",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
    ]
    controllers = [
        f"--kubeconfig={SECRETS}/kube-controller-manager.conf",
        f"--service-account-private-key-file={SECRETS}/service-accounts.key",
        f"--root-ca-file={SECRETS}/ca.crt",
        "--use-service-account-credentials",
        "--leader-elect=false",
    ]
    kubelet = [
        f"--config={SECRETS}/kubelet-config.json",
        f"--kubeconfig={SECRETS}/kubelet.conf",
        f"--node-ip={address}",
        f"--hostname-override={node}",
    ]
    store = [
        f"--data-dir={STATE}",
        f"--listen-client-urls={etcd}",
        f"--advertise-client-urls={etcd}",
        f"--cert-file={SECRETS}/etcd.crt",
        f"--key-file={SECRETS}/etcd.key",
        f"--trusted-ca-file={SECRETS}/ca.crt",
        "--client-cert-auth",
    ]
    return {
        "containerd": ["--config", f"{SECRETS}/containerd.toml"],
        "etcd": store,
        "kube-apiserver": api,
        "kube-controller-manager": controllers,
        "kube-scheduler": [f"--kubeconfig={SECRETS}/kube-scheduler.conf", "--leader-elect=false"],
        "kubelet": kubelet,
        "kube-proxy": [f"--config={SECRETS}/kube-proxy-config.json", f"--hostname-override={node}"],
    }


def _json(document: dict[str, Any]) -> bytes:
    return json.dumps(document, indent=2).encode()
