# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a test host is brought back to the time before k3s; the contract says what k3s leaves behind."""

from __future__ import annotations

WIPE = r"""
systemctl disable --now k3s k3s-agent 2>/dev/null
systemctl kill -s KILL k3s k3s-agent 2>/dev/null
rm -f /etc/systemd/system/k3s*.service /etc/systemd/system/k3s*.service.env
systemctl daemon-reload; systemctl reset-failed
tree() { for child in $(pgrep -P "$1"); do tree "$child"; done; echo "$1"; }
# Only what k3s started is meant: its shims with all below them.
for shim in $(ps -e -o pid=,args= | awk '$2 ~ /containerd-shim/ { print $1 }'); do
  kill -9 $(tree "$shim") 2>/dev/null
done
for folder in /run/k3s /var/lib/kubelet /run/netns /var/lib/rancher; do
  awk -v folder="$folder/" 'index($2, folder) == 1 { print $2 }' /proc/mounts | sort -r | while read -r mount; do
    umount -l "$mount"
  done
done
for name in /run/netns/*; do [ -e "$name" ] && ip netns delete "${name##*/}"; done
for link in cni0 flannel.1 flannel-wg kube-ipvs0; do ip link delete "$link" 2>/dev/null; done
for tables in iptables ip6tables; do
  $tables-save 2>/dev/null | grep -Ev 'KUBE-|CNI-|FLANNEL|flannel' | $tables-restore 2>/dev/null
done
rm -rf /etc/rancher /run/k3s /run/flannel /var/lib/cni /usr/local/bin/k3s
find /var/lib/rancher /var/lib/kubelet -mindepth 1 -delete
# systemd's own view of the journal's past is cleared, so that one run does not read another one's lines.
journalctl --rotate >/dev/null 2>&1; journalctl --vacuum-time=1s >/dev/null 2>&1
rm -rf /run/log/journal/*/user* /var/lib/rancher/* 2>/dev/null
true
"""
