# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A reset of hosts that never became nodes: half installed, broken, with things of other people among ours."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.hosts import Host
from tests.playbook import Run
from tests.site import Site, site_hosts

from .hardening_support import harden
from .life_listing import Listing, differences, listing

NAME, NETWORK, VIP = "hlife-half", "10.99.0.0/24", "10.99.0.10"

# What an installation that died half way leaves, on a machine that has a life of its own.
HALF = r"""
set -e
mkdir -p /usr/local/lib/holdfast/k3s/1.0 /var/lib/rancher/k3s/agent /var/lib/kubelet/pods/a /run/k3s/a
mkdir -p /var/lib/cni /etc/rancher/k3s
cp /usr/bin/sleep /usr/local/lib/holdfast/k3s/1.0/k3s
ln -sfn 1.0 /usr/local/lib/holdfast/k3s/current
ln -sfn /usr/local/lib/holdfast/k3s/current/k3s /usr/local/bin/k3s
ln -sfn k3s /usr/local/bin/kubectl
printf '[Service]\nExecStart=/usr/local/bin/k3s no-such-number\nRestart=always\nRestartSec=300\n' \
  > /etc/systemd/system/k3s.service
printf '[Install]\nWantedBy=multi-user.target\n' \
  >> /etc/systemd/system/k3s.service
mkdir -p /etc/systemd/system/k3s.service.d
printf '[Service]\nNice=1\n' > /etc/systemd/system/k3s.service.d/50-holdfast.conf
printf '[Slice]\nCPUWeight=500\n' > /etc/systemd/system/holdfast.slice
systemctl daemon-reload; systemctl enable -q k3s.service; systemctl start --no-block k3s.service
setsid /usr/local/lib/holdfast/k3s/1.0/k3s 9999 > /dev/null 2>&1 < /dev/null &
mount -t tmpfs none /run/k3s/a
mount -t tmpfs none /var/lib/kubelet/pods/a
echo secret > /var/lib/kubelet/pods/a/token
ip link add cni0 type bridge; ip link set cni0 up; ip address add 10.42.1.1/24 dev cni0
ip netns add cni-abc
ip address add __VIP__/32 dev eth0
ip route add 10.42.2.0/24 via __PEER__
iptables -N KUBE-SERVICES; iptables -A INPUT -j KUBE-SERVICES; iptables -A INPUT -p tcp --dport 9 -j DROP
ip6tables -N KUBE-FORWARD; ip6tables -A FORWARD -j KUBE-FORWARD
nft add table inet holdfast; nft add chain inet holdfast input '{ type filter hook input priority 0; policy accept; }'
"""
# What is somebody else's and looks a little like ours.
OTHERS = r"""
set -e
mkdir -p /srv/precious /usr/local/bin
echo mine > /srv/precious/file
ln -sfn /srv/precious/file /usr/local/bin/ctr
ip link add br-mine type bridge
"""


@dataclass(frozen=True)
class Half:
    """Hosts in all sorts of states, and how the first of them was before."""

    site: Site
    before: Listing

    @property
    def host(self) -> Host:
        return self.site.servers[0]

    def reset(self, cmdline: str = "", **extra: Any) -> Run:
        return self.site.run("playbooks/reset.yml", cmdline=f"--limit {self.host.name} {cmdline}", **extra)


@pytest.fixture(scope="module")
def half() -> Iterator[Half]:
    with site_hosts(NAME, servers=3, variables={"site_vip": VIP}, network=NETWORK) as site:
        host = site.servers[0]
        site.ssh(host, OTHERS)
        site.ssh(host, "iptables -A INPUT -p tcp --dport 9 -j DROP")
        before = listing(site, host)
        site.ssh(host, "iptables -F INPUT")
        spoil(site)
        yield Half(site, before)


def spoil(site: Site) -> None:
    host, peer = site.servers[:2]
    site.ssh(host, HALF.replace("__VIP__", VIP).replace("__PEER__", peer.address))


@pytest.mark.parametrize("answer", ["", "yes", "hlife"])
def test_without_the_name_of_the_site_nothing_is_done(half: Half, answer: str) -> None:
    run = half.reset(reset_confirm=answer)
    assert run.rc != 0
    assert f"reset_confirm={NAME}" in run.failures[0]
    assert "Nothing was changed" in run.failures[0]
    assert half.site.ssh(half.host, "pgrep -f 'k3s 9999'")


def test_check_mode_lists_what_would_go_and_does_nothing(half: Half) -> None:
    before = listing(half.site, half.host)
    run = half.reset("--check --diff")
    assert run.rc == 0, run.failures
    gone = run.results("Take the site off the node")[0]["gone"]
    for phrase in (
        "running unit k3s.service",
        "mount /run/k3s/a",
        "/etc/systemd/system/k3s.service",
        "/usr/local/bin/k3s",
        "/usr/local/bin/kubectl",
        "link cni0",
        "nft table inet holdfast",
        "/var/lib/rancher",
        "route 10.42.2.0/24 via " + half.site.servers[1].address,
        f"address {VIP}/32 dev eth0",
    ):
        assert phrase in gone, (phrase, gone)
    assert "/usr/local/bin/ctr" not in gone
    assert f"{half.host.name}" in run.changed
    assert differences(before, listing(half.site, half.host)) == ""


def test_a_disk_that_somebody_mounted_inside_is_refused_before_anything_is_done(half: Half) -> None:
    half.site.ssh(half.host, "mkdir -p /var/lib/rancher/data && mount --bind /srv/precious /var/lib/rancher/data")
    run = half.reset(reset_confirm=NAME)
    assert run.rc != 0
    assert "/var/lib/rancher/data" in run.failures[0]
    assert "Nothing was changed" in run.failures[0]
    assert half.site.ssh(half.host, "umount /var/lib/rancher/data; cat /srv/precious/file") == "mine\n"
    assert half.site.ssh(half.host, "pgrep -f 'k3s 9999'")


def test_a_tree_that_is_a_link_is_not_followed(half: Half) -> None:
    half.site.ssh(half.host, "mv /var/lib/cni /var/lib/cni-aside && ln -s /srv/precious /var/lib/cni")
    run = half.reset(reset_confirm=NAME)
    assert run.rc != 0
    assert "deletes no folder through a link" in run.failures[0]
    assert half.site.ssh(half.host, "rm /var/lib/cni; rmdir /var/lib/cni-aside; cat /srv/precious/file") == "mine\n"


def test_the_host_is_as_it_was_found_and_what_is_not_ours_is_untouched(half: Half) -> None:
    run = half.reset(reset_confirm=NAME)
    assert run.rc == 0, run.failures
    assert differences(half.before, listing(half.site, half.host)) == ""
    assert half.site.ssh(half.host, "cat /srv/precious/file") == "mine\n"


def test_a_hardened_host_is_as_it_was_found(half: Half) -> None:
    """What hardening changes in files of others and in units is put back too; packages stay (docs/life.md)."""
    site, host = half.site, half.site.servers[2]
    before = listing(site, host)
    hardened = harden(site, cmdline=f"--limit {host.name}")
    assert hardened.rc == 0, hardened.failures
    assert "/etc/login.defs" in differences(before, listing(site, host))
    run = site.run("playbooks/reset.yml", cmdline=f"--limit {host.name}", reset_confirm=NAME)
    assert run.rc == 0, run.failures
    assert differences(before, listing(site, host)) == ""


def test_a_second_reset_changes_nothing(half: Half) -> None:
    run = half.reset(reset_confirm=NAME)
    assert (run.rc, run.changed) == (0, {}), run.failures
