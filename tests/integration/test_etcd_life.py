# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The role etcd on three hosts, from blank to upgraded: one cluster, whose tests follow one another."""

from __future__ import annotations

import json
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.holdfast.edge.plugins.module_utils._etcd.cluster import Cluster

from tests.hosts import heal, inflict
from tests.integration.etcd_site import PKI, PLAYBOOK, Datastore
from tests.site import Site, site_hosts

OLDER, NEWER = "3.5.33", "3.6.14"
NOT_OURS = ("/proc/*", "/sys/*", "/run/*", "/tmp/*", "/var/log/*")
WRITTEN = "find / -xdev -newer /run/before -type f " + " ".join(f"! -path '{path}'" for path in NOT_OURS)


@pytest.fixture(scope="module")
def site(bundle_path: Path) -> Iterator[Site]:
    with site_hosts("hetcd", network="10.92.0.0/24") as site:
        yield site


@pytest.fixture(scope="module")
def datastore(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Datastore:
    return Datastore(site, tmp_path_factory.mktemp("client"))


def changes(site: Site, cmdline: str = "", **variables: Any) -> int:
    """How many changes a run that must succeed made."""
    run = site.run(PLAYBOOK, cmdline=cmdline, **variables)
    assert run.rc == 0, "\n".join(run.failures)
    return sum(run.changed.values())


def process(site: Site) -> list[str]:
    """The process of each member; another number is another start."""
    return [site.ssh(host, "systemctl show -p MainPID --value etcd").strip() for host in site.servers]


def served(site: Site) -> list[bytes]:
    """The certificate that each member shows."""
    context = ssl._create_unverified_context()
    shown = []
    for host in site.servers:
        with socket.create_connection((host.address, 2379), timeout=5) as raw, context.wrap_socket(raw) as secure:
            shown.append(secure.getpeercert(binary_form=True) or b"")
    return shown


def test_check_mode_on_blank_hosts_writes_nothing(site: Site) -> None:
    for host in site.servers:
        site.ssh(host, "touch /run/before")
    assert changes(site, "--check --diff", etcd_version=OLDER) > 0
    for host in site.servers:
        assert site.ssh(host, WRITTEN).split() == []
        assert "etcd" not in site.ssh(host, "cat /etc/passwd")
    assert not site.secrets.exists()


def test_a_first_run_makes_one_cluster_and_a_second_changes_nothing(site: Site, datastore: Datastore) -> None:
    assert changes(site, etcd_version=OLDER) > 0
    datastore.fetch(site.servers[0])
    cluster = datastore.await_whole()
    assert {member.version for member in cluster.members} == {OLDER}
    assert sorted(member.name for member in cluster.members) == sorted(host.name for host in site.servers)
    assert changes(site, etcd_version=OLDER) == 0


def test_nobody_is_served_without_a_certificate(site: Site) -> None:
    context = ssl._create_unverified_context()
    for port in (2379, 2380):
        with (
            pytest.raises((ssl.SSLError, ConnectionError)),
            socket.create_connection((site.servers[0].address, port), timeout=5) as raw,
            context.wrap_socket(raw) as secure,
        ):
            secure.sendall(b"GET /health HTTP/1.1\r\nHost: etcd\r\n\r\n")
            if not secure.recv(100):
                raise ConnectionError("closed without an answer")


def test_keys_are_for_those_who_need_them_and_the_authority_stays_on_the_controller(site: Site) -> None:
    assert [path.name for path in site.secrets.glob("*.pem")] == ["etcd-ca.pem"]
    assert (site.secrets / "etcd-ca.pem").stat().st_mode & 0o777 == 0o600
    key = (site.secrets / "etcd-ca.pem").read_text(encoding="utf-8").splitlines()[1]
    for host in site.servers:
        modes = site.ssh(host, f"stat -c '%n %a %U' {PKI}/*.key").split("\n")
        assert modes[:3] == [
            f"{PKI}/client.key 600 root",
            f"{PKI}/peer.key 600 etcd",
            f"{PKI}/server.key 600 etcd",
        ]
        assert site.ssh(host, f"grep -rlF {key} /etc /var/lib/etcd /root /var/log /tmp || true").strip() == ""


def test_etcd_goes_before_pods_and_is_locked_in(site: Site) -> None:
    shown = site.ssh(site.servers[0], "systemctl show holdfast.slice holdfast-etcd.slice -p CPUWeight -p IOWeight")
    assert shown.split() == ["CPUWeight=1000", "IOWeight=1000"] * 2
    unit = site.ssh(
        site.servers[0], "systemctl show etcd -p Slice -p User -p Restart -p ProtectSystem -p NoNewPrivileges"
    )
    assert set(unit.split()) == {
        "Slice=holdfast-etcd.slice",
        "User=etcd",
        "Restart=always",
        "ProtectSystem=strict",
        "NoNewPrivileges=yes",
    }
    assert "etcd_server_has_leader 1" in site.ssh(
        site.servers[0],
        'curl -s http://127.0.0.1:2381/metrics || python3 -c "import urllib.request as u; '
        "print(u.urlopen('http://127.0.0.1:2381/metrics').read().decode())\"",
    )


def test_certificates_are_renewed_without_a_restart_and_without_a_failed_write(
    site: Site, datastore: Datastore
) -> None:
    processes, before = process(site), served(site)
    with datastore.written_to("/renewal/") as writes:
        assert changes(site, etcd_version=OLDER, etcd_certificate_renew_share=1.0) > 0
    assert process(site) == processes
    assert not set(served(site)) & set(before)
    assert writes.refused == []
    assert writes.lost(datastore) == set()
    assert changes(site, etcd_version=OLDER) == 0


def test_an_authority_given_as_variables_signs_and_leaves_no_key_behind(site: Site, datastore: Datastore) -> None:
    kept = site.secrets / "etcd-ca.pem"
    text = kept.read_text(encoding="utf-8")
    end = text.index("-----BEGIN CERTIFICATE-----")
    variables = {"etcd_version": OLDER, "etcd_ca_key": text[:end], "etcd_ca_certificate": text[end:]}
    processes, before = process(site), served(site)
    kept.unlink()
    without = site.run(PLAYBOOK, etcd_version=OLDER, etcd_certificate_renew_share=1.0)
    assert without.rc != 0
    assert any("it is not there" in failure for failure in without.failures), without.failures
    assert served(site) == before
    assert changes(site, **variables, etcd_certificate_renew_share=1.0) > 0
    assert not set(served(site)) & set(before)
    assert changes(site, **variables) == 0
    assert process(site) == processes
    assert datastore.await_whole().members
    assert not kept.exists()
    kept.write_text(text, encoding="utf-8")
    kept.chmod(0o600)
    assert changes(site, etcd_version=OLDER) == 0


def test_an_upgrade_goes_member_by_member_and_loses_no_write(site: Site, datastore: Datastore) -> None:
    datastore.fetch(site.servers[0])
    with datastore.written_to("/upgrade/") as writes:
        assert changes(site) > 0
    assert {member.version for member in datastore.await_whole().members} == {NEWER}
    assert writes.lost(datastore) == set()
    assert len(writes.acknowledged) > len(writes.refused)
    assert writes.longest_gap < 10, f"{writes.longest_gap:.1f} s without a write"
    assert changes(site) == 0


def test_a_dead_member_stops_neither_writes_nor_a_run_on_the_others(site: Site, datastore: Datastore) -> None:
    dead = next(
        host for host in site.servers if host.name == (datastore.look().leader or datastore.look().members[0]).name
    )
    with datastore.written_to("/death/") as writes:
        inflict(site.host_set.name, dead.name, "kill")
        assert changes(site, f"--limit all:!{dead.name}") == 0
        refused = site.run(
            PLAYBOOK, cmdline=f"--limit all:!{dead.name}", etcd_snapshot_count=20000, etcd_wait_seconds=3
        )
        heal(site.host_set.name)
        datastore.await_whole()
    assert refused.rc != 0
    assert f"{dead.name}: no answer" in "".join(refused.failures)
    assert writes.lost(datastore) == set()
    assert changes(site) == 0


def test_a_member_without_data_is_taken_in_again(site: Site, datastore: Datastore) -> None:
    first = site.servers[0]
    datastore.put("/kept", "yes")
    before = {member.name: member.id for member in datastore.look().members}
    site.ssh(first, "systemctl stop etcd; rm -rf /var/lib/etcd/member /etc/holdfast /etc/systemd/system/etcd.service")
    assert changes(site, f"--limit {first.name}") > 0
    cluster = datastore.await_whole()
    after = {member.name: member.id for member in cluster.members}
    assert after.keys() == before.keys()
    assert after[first.name] != before[first.name]
    assert "/kept" in datastore.keys("/kept")
    datastore.fetch(first)


def await_unused_space(datastore: Datastore) -> Cluster:
    """Each member compacts for itself, and counts anew with its next write; wait until all know what is unused."""
    deadline = time.monotonic() + 30
    while True:
        datastore.put("/small", "one more write")
        seen = datastore.look()
        if all(member.db_size_in_use < member.db_size / 2 for member in seen.members):
            return seen
        assert time.monotonic() < deadline, seen
        time.sleep(1)


def test_unused_space_is_given_back(site: Site, datastore: Datastore) -> None:
    for number in range(40):
        datastore.put("/large", str(number) * 400_000)
    revision = datastore.ask("/v3/maintenance/status", {})["header"]["revision"]
    datastore.ask("/v3/kv/compaction", {"revision": revision, "physical": True}, seconds=30)
    before = await_unused_space(datastore)
    assert changes(site, etcd_entry="defrag", etcd_defrag_least_mb=1) > 0
    after = datastore.await_whole()
    assert max(member.db_size for member in after.members) < min(member.db_size for member in before.members) / 2


def test_what_cannot_be_is_refused_with_all_faults_at_once(site: Site) -> None:
    processes = process(site)
    run = site.run(PLAYBOOK, etcd_version=OLDER, etcd_token="another")
    told = "".join(run.failures)
    assert run.rc != 0
    assert "an older minor version cannot read the data" in told
    assert f"its data are those of the cluster holdfast-{site.host_set.name}, and this run is for another" in told
    two = {host.name: host.address for host in site.servers[:2]}
    even = site.run(PLAYBOOK, cmdline=f"--limit {','.join(two)}", etcd_members=two)
    assert "etcd would have 2 members" in "".join(even.failures)
    (secret := site.secrets / "etcd-ca.pem").rename(site.secrets / "aside")
    try:
        lost = site.run(PLAYBOOK, etcd_certificate_renew_share=1.0)
    finally:
        (site.secrets / "aside").rename(secret)
    assert "Bring the file back from a backup" in "".join(lost.failures)
    assert process(site) == processes


def test_the_facts_of_a_node_name_its_cluster(site: Site, datastore: Datastore) -> None:
    for host in site.servers:
        facts = json.loads(site.ssh(host, "cat /etc/holdfast/etcd/facts.json"))
        assert facts["cluster"] == datastore.look().id
