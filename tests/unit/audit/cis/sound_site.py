# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A site of one server and one agent on which every control holds, to be broken in one place at a time."""

from __future__ import annotations

import copy
from typing import Any

from tests.audit.cis import load_controls
from tests.audit.cis.catalogue import patterns_of

AGENT = "/var/lib/rancher/k3s/agent"
TLS = "/var/lib/rancher/k3s/server/tls"
PSA = "/var/lib/rancher/k3s/server/psa.yaml"
POLICY = "/var/lib/rancher/k3s/server/audit.yaml"
PATTERNS = patterns_of(load_controls())
CIPHERS = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305"
FLAGS: dict[str, dict[str, str]] = {
    "kube-apiserver": {
        "admission-control-config-file": PSA,
        "anonymous-auth": "false",
        "audit-log-maxage": "30",
        "audit-log-maxbackup": "10",
        "audit-log-maxsize": "100",
        "audit-log-path": "/var/lib/rancher/k3s/server/logs/audit.log",
        "audit-policy-file": POLICY,
        "authorization-mode": "Node,RBAC",
        "client-ca-file": f"{TLS}/client-ca.crt",
        "enable-admission-plugins": "NodeRestriction,EventRateLimit,DenyServiceExternalIPs,AlwaysPullImages",
        "encryption-provider-config": "/var/lib/rancher/k3s/server/cred/encryption-config.json",
        "etcd-cafile": "/etc/holdfast/k3s/etcd/ca.crt",
        "etcd-certfile": "/etc/holdfast/k3s/etcd/client.crt",
        "etcd-keyfile": "/etc/holdfast/k3s/etcd/client.key",
        "kubelet-certificate-authority": f"{TLS}/server-ca.crt",
        "kubelet-client-certificate": f"{TLS}/client-kube-apiserver.crt",
        "kubelet-client-key": f"{TLS}/client-kube-apiserver.key",
        "profiling": "false",
        "request-timeout": "1m0s",
        "service-account-key-file": f"{TLS}/service.key",
        "tls-cert-file": f"{TLS}/serving-kube-apiserver.crt",
        "tls-cipher-suites": CIPHERS,
        "tls-private-key-file": f"{TLS}/serving-kube-apiserver.key",
    },
    "kube-controller-manager": {
        "bind-address": "127.0.0.1",
        "profiling": "false",
        "root-ca-file": f"{TLS}/server-ca.crt",
        "service-account-private-key-file": f"{TLS}/service.current.key",
        "terminated-pod-gc-threshold": "100",
        "use-service-account-credentials": "true",
    },
    "kube-scheduler": {"bind-address": "127.0.0.1", "profiling": "false"},
    "kubelet": {
        "config-dir": f"{AGENT}/etc/kubelet.conf.d",
        "node-labels": "",
        "pod-max-pids": "4096",
        "streaming-connection-idle-timeout": "5m",
        "tls-cert-file": f"{AGENT}/serving-kubelet.crt",
        "tls-cipher-suites": CIPHERS,
        "tls-private-key-file": f"{AGENT}/serving-kubelet.key",
    },
    "kube-proxy": {"proxy-mode": "iptables"},
}
KUBELET_FILE = """
authentication: {anonymous: {enabled: false}, x509: {clientCAFile: /ca.crt}}
authorization: {mode: Webhook}
readOnlyPort: 0
"""
KUBELET = {
    "authentication": {"anonymous": {"enabled": False}, "x509": {"clientCAFile": "/ca.crt"}},
    "authorization": {"mode": "Webhook"},
    "eventRecordQPS": 50,
    "makeIPTablesUtilChains": True,
    "readOnlyPort": 0,
    "seccompDefault": True,
    "streamingConnectionIdleTimeout": "5m0s",
    "tlsCertFile": f"{AGENT}/serving-kubelet.crt",
    "tlsPrivateKeyFile": f"{AGENT}/serving-kubelet.key",
}
ADMISSION = """
plugins:
  - name: EventRateLimit
    configuration: {}
  - name: PodSecurity
    configuration: {defaults: {enforce: restricted}, exemptions: {namespaces: []}}
"""
AUDIT_POLICY = """
rules:
  - {level: None, users: ["system:kube-proxy"]}
  - level: Metadata
    resources:
      - {group: "", resources: [secrets, configmaps]}
      - {group: authentication.k8s.io, resources: [tokenreviews]}
  - {level: Request, verbs: [create, update, patch, delete], resources: [{group: "", resources: [pods, "pods/*"]}]}
  - {level: Metadata}
"""
ETCD = """
data-dir: /var/lib/etcd
client-transport-security:
  {cert-file: /p/server.crt, key-file: /p/server.key, trusted-ca-file: /p/ca.crt, client-cert-auth: true}
peer-transport-security:
  {cert-file: /p/peer.crt, key-file: /p/peer.key, trusted-ca-file: /p/ca.crt, client-cert-auth: true}
"""


def certificate(content: str) -> str:
    return f"-----BEGIN CERTIFICATE-----\n{content}\n-----END CERTIFICATE-----\n"


def line(component: str, **changes: str | None) -> str:
    """What k3s writes when it starts a component; a flag whose change is None is left out."""
    flags: dict[str, str | None] = {**FLAGS[component], **{name.replace("_", "-"): to for name, to in changes.items()}}
    told = " ".join(f"--{name}={value}" for name, value in sorted(flags.items()) if value is not None)
    return f'time="2026-11-21T12:00:00Z" level=info msg="Running {component} {told}"'


def file(path: str, mode: int = 0o600, owner: str = "root", group: str = "root") -> dict[str, Any]:
    return {"path": path, "mode": mode, "owner": owner, "group": group}


def item(name: str, namespace: str = "", **more: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, **({"namespace": namespace} if namespace else {})}, **more}


def pod(name: str, namespace: str, account: str, **container: Any) -> dict[str, Any]:
    context = {"allowPrivilegeEscalation": False}
    containers = [{"name": "main", "securityContext": context, **container}]
    return item(name, namespace, spec={"serviceAccountName": account, "nodeName": "one", "containers": containers})


def objects() -> dict[str, list[dict[str, Any]]]:
    admins = {"kind": "Group", "name": "system:masters"}
    everything = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}
    return {
        "namespaces": [item("default"), item("kube-system")],
        "serviceaccounts": [
            item("default", "default", automountServiceAccountToken=False),
            item("default", "kube-system"),
            item("coredns", "kube-system"),
        ],
        "pods": [pod("coredns-1", "kube-system", "coredns")],
        "services": [item("kubernetes", "default")],
        "networkpolicies": [
            item("closed", name, spec={"podSelector": {}, "policyTypes": ["Ingress"]})
            for name in ("default", "kube-system")
        ],
        "roles": [item("reader", "kube-system", rules=[{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}])],
        "clusterroles": [item("cluster-admin", rules=[everything])],
        "rolebindings": [],
        "clusterrolebindings": [
            item("cluster-admin", roleRef={"kind": "ClusterRole", "name": "cluster-admin"}, subjects=[admins])
        ],
    }


def _files(server: bool) -> dict[str, list[dict[str, Any]]]:
    """One file for each pattern that a control asks for, with the mode that it wants."""
    found = {}
    for pattern in PATTERNS:
        of_servers = pattern.startswith(("/var/lib/rancher/k3s/server", "/etc/", "/var/lib/cni"))
        path = pattern.rstrip("/").replace("/**/*", "/x/file").replace("*", "some")
        found[pattern] = [file(path)] if server or not of_servers else []
    return found


def _report(server: bool) -> dict[str, Any]:
    components = FLAGS if server else ("kubelet", "kube-proxy")
    etcd_files = {f"/p/{name}": file(f"/p/{name}") for name in ("server.key", "peer.key", "server.crt", "ca.crt")}
    etcd = {
        "arguments": ["etcd", "--config-file=/c.yml"],
        "environment": {},
        "config": ETCD,
        "config_path": "/c.yml",
        "files": {**etcd_files, "/var/lib/etcd": file("/var/lib/etcd", 0o700, "etcd", "etcd")},
    }
    return {
        "server": server,
        "member": server,
        "lines": {name: line(name) for name in components},
        "files": _files(server),
        "texts": {
            "/etc/rancher/k3s/config.yaml": "kubelet-arg: [streaming-connection-idle-timeout=5m]\n",
            f"{AGENT}/etc/kubelet.conf.d/00-k3s-defaults.conf": KUBELET_FILE,
            **({PSA: ADMISSION, POLICY: AUDIT_POLICY} if server else {}),
        },
        "etcd": etcd if server else None,
        "encryption": ["aescbc", "identity"] if server else None,
        "authorities": {f"{TLS}/server-ca.crt": certificate("k3s"), "/p/ca.crt": certificate("etcd")},
        "api": {
            "objects": objects() if server else {},
            "kubelets": {"one": copy.deepcopy(KUBELET), "two": copy.deepcopy(KUBELET)} if server else {},
            "problem": "",
        },
    }


def reports() -> dict[str, dict[str, Any]]:
    """What the probe would report: `one` is server and member, `two` is an agent. Yours to change."""
    return {"one": _report(True), "two": _report(False)}
