# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole life of one site, in the order of this file, under a load of writes of which none may be lost.

It begins with the older versions of the bundle and ends with hosts that are as they were found.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest
from ansible_collections.holdfast.edge.plugins.module_utils._versions import version_key

from dev.paths import BUNDLE, ROOT
from tests.hosts import Host, heal, inflict
from tests.playbook import Run
from tests.site import Site, site_hosts

from .kubernetes_remote import wait_until
from .life_listing import Listing, differences, listing
from .life_support import Client, Writer, changes, client_of, etcd_members, refused, screen, succeeds, writing

NAME, NETWORK, VIP = "hlife", "10.99.0.0/24", "10.99.0.10"
EVICTIONS = "/apis/policy/v1/namespaces/kube-system/poddisruptionbudgets"
SECRETS = "/api/v1/namespaces/default/secrets"


def versions(component: str) -> list[str]:
    """Those of the bundle, the oldest first."""
    return sorted((path.name for path in BUNDLE.glob(f"*/bin/{component}/*")), key=version_key)


# Two releases of one minor version, and one of the next.
K3S_OLD, K3S_NEXT, K3S_NEW = versions("k3s")
ETCD_OLD, ETCD_NEW = versions("etcd")
NEW = {"k3s_version": K3S_NEW, "etcd_version": ETCD_NEW}
# What a kubelet says is Kubernetes' version; only that of k3s itself adds its own release to it.
KUBELET_OLD, KUBELET_NEW = (version.partition("+")[0] for version in (K3S_OLD, K3S_NEW))


@dataclass(frozen=True)
class Life:
    """A site, its administrator, the writes that go on all the time, and how its hosts were found."""

    site: Site
    client: Client
    writer: Writer
    found: dict[str, Listing]

    @property
    def first(self) -> Host:
        return self.site.servers[0]

    @property
    def names(self) -> set[str]:
        return {host.name for host in self.site.servers}

    def run(self, verb: str, cmdline: str = "", **extra: Any) -> Run:
        return self.site.run(f"playbooks/{verb}.yml", cmdline=cmdline, **extra)

    def versions(self) -> tuple[set[str], set[str]]:
        """What kubelets and members of etcd say that they are."""
        told = [
            self.site.ssh(host, "readlink /usr/local/lib/holdfast/etcd/current").strip() for host in self.site.servers
        ]
        kubelets = {version.removeprefix("v").partition("+")[0] for version in self.client.ready_versions().values()}
        return kubelets, set(told)

    def all_ready(self) -> bool:
        return set(self.client.ready_versions()) == self.names


@pytest.fixture(scope="module")
def life() -> Iterator[Life]:
    chosen = {"site_vip": VIP, "k3s_version": K3S_OLD, "etcd_version": ETCD_OLD}
    with site_hosts(NAME, servers=3, variables=chosen, network=NETWORK) as site:
        found = {host.name: listing(site, host) for host in site.servers}
        succeeds(site.run("site.yml"))
        client = client_of(site, site.servers[0])
        with writing(client) as writer:
            yield Life(site, client, writer, found)


def test_the_screen_shows_a_site_that_is_well(life: Life) -> None:
    run = succeeds(life.run("status", status_strict="true"))
    assert changes(run) == 0
    text = screen(run)
    assert "3 of 3 nodes Ready, all is well" in text
    assert text.count(K3S_OLD) == 3
    assert f"VIP      {VIP} at hlife-" in text


def test_an_upgrade_is_refused_while_a_member_is_not_healthy_and_while_the_first_host_is_dead(life: Life) -> None:
    life.site.ssh(life.first, "systemctl stop etcd")
    refused(life.run("upgrade", **NEW), f"etcd member {life.first.name} is not healthy")
    life.site.ssh(life.first, "systemctl start etcd")
    inflict(NAME, life.first.name, "cut")
    run = life.run("upgrade", **NEW)
    shown = screen(succeeds(life.run("status")))
    heal(NAME, life.first.name)
    refused(run, f"{life.first.name} does not answer")
    assert "no answer" in shown
    assert f"node_remove.yml -e node={life.first.name}" in shown
    wait_until("the first host is back", life.all_ready, 60)


def test_an_upgrade_is_refused_when_pods_could_not_leave(life: Life) -> None:
    budget = {
        "metadata": {"name": "nobody-leaves"},
        "spec": {"maxUnavailable": 0, "selector": {"matchLabels": {"k8s-app": "kube-dns"}}},
    }
    assert life.client.ask("POST", EVICTIONS, budget)[0] == 201
    run = life.run("upgrade", **NEW)
    assert life.client.ask("DELETE", f"{EVICTIONS}/nobody-leaves")[0] == 200
    refused(run, "its pods could not leave it", "disruption budget")


def test_within_a_minor_the_version_before_is_one_link_away(life: Life) -> None:
    succeeds(life.run("upgrade", k3s_version=K3S_NEXT, etcd_version=ETCD_OLD))
    assert screen(succeeds(life.run("status"))).count(K3S_NEXT) == 3
    told = succeeds(life.run("rollback", cmdline="--check"))
    assert changes(told) > 0
    assert screen(succeeds(life.run("status"))).count(K3S_NEXT) == 3
    succeeds(life.run("rollback"))
    assert screen(succeeds(life.run("status"))).count(K3S_OLD) == 3
    assert changes(succeeds(life.run("rollback"))) == 0


def test_check_mode_of_an_upgrade_says_what_would_change_and_changes_nothing(life: Life) -> None:
    run = succeeds(life.run("upgrade", cmdline="--check", **NEW))
    assert changes(run) > 0
    assert life.versions() == ({KUBELET_OLD}, {ETCD_OLD})


def test_an_upgrade_over_a_minor_that_is_killed_is_run_again_to_its_end(life: Life) -> None:
    killed(life, "upgrade", lambda: KUBELET_NEW in "".join(life.client.ready_versions().values()), **NEW)
    succeeds(life.run("upgrade", **NEW))
    # From here on the inventory names them, as an operator would let it.
    life.site.with_variables(**NEW)
    assert life.versions() == ({KUBELET_NEW}, {ETCD_NEW})
    assert life.all_ready()
    again = succeeds(life.run("upgrade", upgrade_backup="false"))
    assert changes(again) == 0


def test_there_is_no_way_back_across_a_minor_without_a_backup(life: Life) -> None:
    refused(life.run("rollback"), "since a minor version lies between them", f"k3s_version={K3S_OLD}")
    refused(life.run("upgrade", k3s_version=K3S_OLD, etcd_version=ETCD_NEW), K3S_OLD)
    refused(life.run("upgrade", k3s_version="1.99.0+k3s1"), "and not 1.99.0+k3s1", K3S_NEW)


def test_all_certificates_are_made_anew_one_node_after_the_other(life: Life) -> None:
    paths = (
        "/etc/holdfast/etcd/pki/server.crt /etc/holdfast/k3s/etcd/client.crt "
        "/var/lib/rancher/k3s/server/tls/client-admin.crt"
    )
    before = [life.site.ssh(host, f"sha256sum {paths}") for host in life.site.servers]
    succeeds(life.run("certificates", life_certificates_all="true"))
    for host, old in zip(life.site.servers, before, strict=True):
        now = life.site.ssh(host, f"sha256sum {paths}")
        assert not set(old.splitlines()) & set(now.splitlines())
    assert life.all_ready()
    due = succeeds(life.run("certificates"))
    assert changes(due) == 0


def test_another_authority_of_the_datastore_takes_over(life: Life) -> None:
    """Once the old one is forgotten, a server that still shows a certificate of it could not read its own data."""
    authority = life.site.secrets / "etcd-ca.pem"
    old = authority.read_text(encoding="utf-8")
    killed(life, "datastore_authority", lambda: authority.read_text(encoding="utf-8") != old)
    succeeds(life.run("datastore_authority"))
    now = authority.read_text(encoding="utf-8")
    assert now.count("BEGIN CERTIFICATE") == 1
    trusted = now[now.index("-----BEGIN CERTIFICATE") :]
    assert trusted not in old
    for host in life.site.servers:
        assert life.site.ssh(host, "cat /etc/holdfast/etcd/pki/ca.crt") == trusted
        assert life.site.ssh(host, "cat /etc/holdfast/k3s/etcd/ca.crt") == trusted
    assert life.all_ready()
    assert changes(succeeds(life.site.run("site.yml"))) == 0


def test_a_change_of_the_token_that_is_killed_is_run_again_to_its_end(life: Life) -> None:
    token = life.site.secrets / "k3s-token"
    old = token.read_text(encoding="utf-8")
    checked = succeeds(life.run("token_rotate", cmdline="--check --diff"))
    assert changes(checked) > 0
    assert token.read_text(encoding="utf-8") == old
    killed(life, "token_rotate", lambda: token.read_text(encoding="utf-8") != old)
    run = succeeds(life.run("token_rotate"))
    new_token = token.read_text(encoding="utf-8").strip()
    assert new_token != old.strip()
    assert new_token not in run.stdout
    assert not (life.site.secrets / "k3s-token-next").exists()
    for host in life.site.servers:
        assert life.site.ssh(host, "cat /etc/rancher/k3s/token").strip() == new_token
    assert life.all_ready()
    assert changes(succeeds(life.site.run("site.yml"))) == 0


def test_the_key_of_the_secrets_is_changed_and_they_are_read_as_before(life: Life) -> None:
    secret = {"metadata": {"name": "kept"}, "stringData": {"answer": "42"}}
    assert life.client.ask("POST", SECRETS, secret)[0] == 201
    keys = "sha256sum /var/lib/rancher/k3s/server/cred/encryption-config.json"
    before = life.site.ssh(life.first, keys)
    checked = succeeds(life.run("secrets_key_rotate", cmdline="--check"))
    assert changes(checked) > 0
    assert life.site.ssh(life.first, keys) == before
    succeeds(life.run("secrets_key_rotate"))
    now = {life.site.ssh(host, keys) for host in life.site.servers}
    assert len(now) == 1
    assert before not in now
    assert life.client.get(f"{SECRETS}/kept")["data"] == {"answer": "NDI="}


def test_a_dead_first_host_is_taken_out_by_whoever_lives(life: Life) -> None:
    inflict(NAME, life.first.name, "kill")
    refused(life.run("node_remove", node=life.first.name), f"confirm={life.first.name}")
    succeeds(life.run("node_remove", node=life.first.name, confirm=life.first.name))
    second = life.site.servers[1]
    assert set(etcd_members(life.site, second)) == life.names - {life.first.name}
    assert set(life.client.names("/api/v1/nodes")) == life.names - {life.first.name}
    again = succeeds(life.run("node_remove", node=life.first.name, confirm=life.first.name))
    assert changes(again) == 0


def test_a_node_is_added_by_the_same_command_that_built_the_site(life: Life) -> None:
    heal(NAME, life.first.name)
    succeeds(life.run("reset", cmdline=f"--limit {life.first.name}", reset_confirm=NAME))
    succeeds(life.site.run("site.yml"))
    wait_until("the first host is a node again", life.all_ready, 60)
    assert etcd_members(life.site, life.first) == dict.fromkeys(life.names, "voter")


def test_a_node_whose_disk_is_gone_is_made_anew_while_the_others_serve(life: Life) -> None:
    refused(life.run("node_rebuild", node=life.first.name), "is not blank", f"confirm={life.first.name}")
    # The cluster is not told: its member of etcd, its Node and its password are still known under that name.
    succeeds(life.run("reset", cmdline=f"--limit {life.first.name}", reset_confirm=NAME))
    succeeds(life.run("node_rebuild", node=life.first.name))
    wait_until("the first host is a node again", life.all_ready, 60)
    assert etcd_members(life.site, life.first) == dict.fromkeys(life.names, "voter")


def test_no_write_was_lost(life: Life) -> None:
    assert len(life.writer.acknowledged) > 100
    assert life.writer.lost() == set()
    print(f"{len(life.writer.acknowledged)} writes, the longest gap {life.writer.longest_gap:.1f} s")


def test_after_a_reset_every_host_is_as_it_was_found(life: Life) -> None:
    succeeds(life.run("reset", reset_confirm=NAME))
    told = [differences(life.found[host.name], listing(life.site, host)) for host in life.site.servers]
    assert told == ["", "", ""], "\n\n".join(told)
    assert changes(succeeds(life.run("reset", reset_confirm=NAME))) == 0


def killed(life: Life, verb: str, reached: Callable[[], bool], **extra: str) -> None:
    """Begin a verb and kill ansible-playbook with all its workers once a point is reached."""
    command = [sys.executable, "-m", "ansible", "playbook", "-i", str(life.site.inventory), f"playbooks/{verb}.yml"]
    process = subprocess.Popen(
        [*command, "-e", json.dumps(extra)],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    ends = time.monotonic() + 480
    there = False
    try:
        while not there and process.poll() is None and time.monotonic() < ends:
            time.sleep(0.3)
            there = reached()
        assert process.poll() is None, f"{verb} ended before it could be killed"
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert there, f"{verb} did not come so far within 480 s"
