# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every key that a configuration file of k3s may have, v1.33 to v1.36: its verb, its type, and what else must be known.

`same` must have one value on all servers of a cluster; k3s itself does not compare them with an external datastore.
`since` names the first release of each minor that knows the key.
"""

from __future__ import annotations

TABLE = """
advertise-address                 server  string
advertise-port                    server  int
agent-token                       server  string   same
agent-token-file                  server  string
airgap-extra-registry             both    list
alsologtostderr                   both    bool
apiserver-bind-address            server  string
apiserver-port                    server  int
bind-address                      both    string
cluster-cidr                      server  list     same
cluster-dns                       server  list     same
cluster-domain                    server  string   same
cluster-init                      server  bool
cluster-reset                     server  bool
cluster-reset-restore-path        server  string
config                            both    string
container-runtime-endpoint        both    string
data-dir                          both    string
datastore-cafile                  server  string
datastore-certfile                server  string
datastore-endpoint                server  string
datastore-keyfile                 server  string
debug                             both    bool
default-local-storage-path        server  string
default-runtime                   both    string
disable                           server  list
disable-agent                     server  bool
disable-apiserver                 server  bool
disable-apiserver-lb              agent   bool
disable-cloud-controller          server  bool     same
disable-controller-manager        server  bool
disable-default-registry-endpoint both    bool
disable-etcd                      server  bool
disable-helm-controller           server  bool     same
disable-kube-proxy                server  bool
disable-network-policy            server  bool     same
disable-scheduler                 server  bool
docker                            both    bool
egress-selector-mode              server  string   same
embedded-registry                 server  bool     same
enable-pprof                      both    bool
etcd-arg                          server  list
etcd-disable-snapshots            server  bool
etcd-expose-metrics               server  bool
etcd-s3                           server  bool
etcd-s3-access-key                server  string
etcd-s3-bucket                    server  string
etcd-s3-bucket-lookup-type        server  string
etcd-s3-config-secret             server  string
etcd-s3-endpoint                  server  string
etcd-s3-endpoint-ca               server  string
etcd-s3-folder                    server  string
etcd-s3-insecure                  server  bool
etcd-s3-proxy                     server  string
etcd-s3-region                    server  string
etcd-s3-retention                 server  int
etcd-s3-secret-key                server  string
etcd-s3-session-token             server  string
etcd-s3-skip-ssl-verify           server  bool
etcd-s3-timeout                   server  duration
etcd-snapshot-compress            server  bool
etcd-snapshot-dir                 server  string
etcd-snapshot-name                server  string
etcd-snapshot-reconcile-interval  server  duration
etcd-snapshot-retention           server  int
etcd-snapshot-schedule-cron       server  string
flannel-backend                   server  string   same
flannel-cni-conf                  both    string
flannel-conf                      both    string
flannel-external-ip               server  bool     same
flannel-iface                     both    string
flannel-ipv6-masq                 server  bool     same
helm-controller-arg               server  list     since 1.33.13 1.34.10 1.35.7 1.36.3
helm-job-image                    server  string   old
https-listen-port                 server  int
image-credential-provider-bin-dir both    string
image-credential-provider-config  both    string
image-service-endpoint            both    string
kine-tls                          server  bool
kube-apiserver-arg                server  list
kube-cloud-controller-manager-arg server  list
kube-controller-manager-arg       server  list
kube-proxy-arg                    both    list
kube-scheduler-arg                server  list
kubelet-arg                       both    list
lb-server-port                    both    int
log                               both    string
node-external-dns                 both    list
node-external-ip                  both    list
node-internal-dns                 both    list
node-ip                           both    list
node-label                        both    list
node-name                         both    string
node-taint                        both    list
nonroot-devices                   both    bool
pause-image                       both    string
prefer-bundled-bin                both    bool
private-registry                  both    string
protect-kernel-defaults           both    bool
resolv-conf                       both    string
rootless                          both    bool
secrets-encryption                server  bool     same
secrets-encryption-provider       server  string   same, since 1.30.12 1.31.8 1.32.4 1.33.0
selinux                           both    bool
server                            both    string
service-cidr                      server  list     same
service-node-port-range           server  string
servicelb-namespace               server  string
snapshotter                       both    string
supervisor-metrics                server  bool
supervisor-port                   server  int
system-default-registry           server  string
tls-san                           server  list
tls-san-security                  server  bool
token                             both    string
token-file                        both    string
v                                 both    int
vmodule                           both    string
vpn-auth                          both    string
vpn-auth-file                     both    string
with-node-id                      both    bool
write-kubeconfig                  server  string
write-kubeconfig-group            server  string
write-kubeconfig-mode             server  string
"""

# Spellings that k3s takes too, and keys of former times, each with what to write instead.
INSTEAD = {
    "cluster-secret": "token (Holdfast sets it)",
    "disable-selinux": "selinux",
    "kube-cloud-controller-arg": "kube-cloud-controller-manager-arg",
    "kube-controller-arg": "kube-controller-manager-arg",
    "no-deploy": "disable",
    "no-flannel": "flannel-backend: none",
}
