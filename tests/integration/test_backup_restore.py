# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A site is backed up, refused a restore that would do harm, loses all its hosts and its controller, and comes back."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from dev.paths import BUNDLE
from tests.hosts import session_set
from tests.k3s_contract.wiping import WIPE
from tests.site import Site, site_of

from .backup_objects import KUBECTL, differences, everything
from .backup_store import BackupStore
from .kubernetes_remote import wait_until

FOLDER = "/var/lib/holdfast/backups"
START = (
    "systemctl start holdfast-backup; "
    "journalctl --output cat _SYSTEMD_INVOCATION_ID=$(systemctl show --property InvocationID --value holdfast-backup)"
)
SECRET = "what-nobody-may-read-in-a-backup"
NAMES = "backups-of-this-test"
# Everything of etcd and of Holdfast; what k3s leaves is taken away by the contract's own list.
BLANK = """
systemctl disable --now etcd holdfast-backup.timer 2>/dev/null
rm -rf /etc/holdfast /usr/local/lib/holdfast /usr/local/bin/* /var/lib/holdfast/backups /etc/systemd/system/etcd.service
rm -rf /etc/systemd/system/holdfast* /run/holdfast*
find /var/lib/etcd -mindepth 1 -delete
systemctl daemon-reload
"""
OBJECTS = f"""
{KUBECTL} create namespace {NAMES}
{KUBECTL} -n {NAMES} create configmap settings --from-literal=colour=green
{KUBECTL} -n {NAMES} create secret generic key --from-literal=value={SECRET}
{KUBECTL} -n {NAMES} create deployment web --image=registry.holdfast.internal/pause:0.1.0 --replicas=0
{KUBECTL} -n {NAMES} create role reader --verb=get --resource=configmaps
"""


@dataclass
class Stage:
    """The site, its store, and the only thing that its operator kept elsewhere."""

    site: Site
    store: BackupStore
    identity: Path
    objects: dict[str, Any]
    backup: Path = Path()

    @property
    def copies(self) -> Path:
        return self.site.folder / "backups"

    def restore(self, **extravars: Any) -> tuple[int, str]:
        run = self.site.run("playbooks/restore.yml", backup_identity_file=str(self.identity), **extravars)
        return run.rc, "\n".join(run.failures)


def age(*arguments: str) -> str:
    (program,) = (BUNDLE / "amd64/bin/age").glob("*/age-keygen")
    return subprocess.run([program, *arguments], check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("site")
    with session_set("backup", count=4, network="10.97.0.0/24") as host_set:
        store = BackupStore(host_set, host_set.hosts[3], folder)
        store.start()
        identity = folder / "key.txt"
        age("-o", str(identity))
        variables = {
            **store.variables(),
            "backup_age_recipients": [age("-y", str(identity))],
            "backup_controller_path": str(folder / "backups"),
            "backup_reserve_mb": 64,
            "site_hardening": False,
        }
        site = site_of(host_set, folder, servers=3, variables=variables)
        run = site.run("site.yml")
        assert run.rc == 0, run.failures
        site.ssh(site.servers[0], OBJECTS)
        yield Stage(site, store, identity, {})


def test_a_backup_lies_sealed_on_every_server_on_the_controller_and_in_the_store(stage: Stage) -> None:
    stage.objects = everything(stage.site, stage.site.servers[0])
    assert f"Secret/{NAMES}/key" in stage.objects
    run = stage.site.run("playbooks/backup.yml")
    assert run.rc == 0, run.failures
    (stage.backup,) = stage.copies.glob("*.backup.tar")
    with tarfile.open(stage.backup) as tar:
        assert tar.getnames() == ["backup.json", "node.tar.age", "controller.tar.age", "SHA256SUMS"]
    token = (stage.site.secrets / "k3s-token").read_bytes().strip()
    content = stage.backup.read_bytes()
    assert token not in content
    assert SECRET.encode() not in content
    for host in stage.site.servers:
        assert stage.site.ssh(host, f"ls {FOLDER}").split() == [stage.backup.name, f"{stage.backup.name}.sent"]
        assert stage.site.ssh(host, "ls -d /run/holdfast-* 2>/dev/null | grep -E 'backup|restore' || true") == ""
    assert [entry.key for entry in stage.store.bucket(stage.site.host_set.name).list()] == [stage.backup.name]
    (look,) = {result["member"] for result in run.results("Make the backup") if "member" in result}
    leaders = [result["leads"] for result in run.results("Look at the datastore from each server")]
    assert sorted(leaders) == [False, False, True]
    assert look.endswith(":2379")


def test_a_server_makes_one_without_any_controller_and_sends_it_when_the_store_is_back(stage: Stage) -> None:
    host = stage.site.servers[1]
    stage.store.down()
    said = stage.site.ssh(host, START, 120)
    assert "sent 0, waiting 1" in said
    assert f"{stage.store.endpoint} could not be reached" in said
    stage.store.up()
    assert "sent 2, waiting 0" in stage.site.ssh(host, START, 120)
    assert len(stage.store.bucket(stage.site.host_set.name).list()) == 3
    assert "holdfast-backup.timer" in stage.site.ssh(host, "systemctl list-timers --no-pager")


def test_a_store_that_refuses_is_told_and_a_full_disk_leaves_what_was_there(stage: Stage) -> None:
    host = stage.site.servers[2]
    before = stage.site.ssh(host, f"ls -A {FOLDER}")
    settings = "/etc/holdfast/backup/settings.json"
    stage.site.ssh(host, f"cp {settings} /run/settings.json; sed -i 's/a-secret-key-of-the-test/another/' {settings}")
    assert "the secret key does not fit the access key AKHOLDFASTTEST" in stage.site.ssh(host, START)
    stage.site.ssh(host, f'sed \'s/"bucket": "backups"/"bucket": "nowhere"/\' /run/settings.json > {settings}')
    assert "has no bucket nowhere" in stage.site.ssh(host, START)
    stage.site.ssh(host, f"cp /run/settings.json {settings}; mount -t tmpfs -o size=64k full {FOLDER}")
    said = stage.site.ssh(host, f"{START} || true; ls -A {FOLDER}; umount {FOLDER}")
    assert f"has 0 MiB free at {FOLDER}" in said
    assert "beside the 64 MiB that must stay free. No backup was made; earlier ones are untouched" in said
    assert "Finished" not in said
    assert set(before.split()) <= set(stage.site.ssh(host, f"ls -A {FOLDER}").split())


def test_a_backup_that_would_do_harm_is_refused_before_anything_is_changed(stage: Stage, tmp_path: Path) -> None:
    rc, said = stage.restore(restore_file=str(stage.backup), backup_site_name="another", etcd_version="3.5.33")
    assert rc != 0
    assert "Nothing was changed" in said
    assert f"the backup is of the site {stage.site.host_set.name}, and this is another" in said
    assert "whose data etcd 3.5.33 does not read" in said
    assert "has data in /var/lib/etcd and /var/lib/rancher/k3s; give -e restore_replace=true" in said
    other = tmp_path / "other.txt"
    age("-o", str(other))
    run = stage.site.run("playbooks/restore.yml", backup_identity_file=str(other), restore_file=str(stage.backup))
    assert "is not sealed for the identity that was given" in run.failures[0]
    changed = bytearray(stage.backup.read_bytes())
    changed[len(changed) // 2] ^= 1
    (tmp_path / "changed.backup.tar").write_bytes(changed)
    assert (
        "was changed or is damaged: node.tar.age" in stage.restore(restore_file=str(tmp_path / "changed.backup.tar"))[1]
    )
    (tmp_path / "cut.backup.tar").write_bytes(changed[: len(changed) // 2])
    assert "is damaged" in stage.restore(restore_file=str(tmp_path / "cut.backup.tar"))[1]
    stage.site.ssh(stage.site.servers[0], f"{KUBECTL} get --raw /readyz")


def test_blank_hosts_and_a_blank_controller_become_the_site_again(stage: Stage) -> None:
    site = stage.site
    for host in site.servers:
        site.ssh(host, WIPE + BLANK, 120)
    # All that is left is what the store has, and the operator's key.
    shutil.rmtree(site.secrets)
    shutil.rmtree(stage.copies)
    started = time.monotonic()
    name = stage.backup.name
    run = site.run("playbooks/restore.yml", backup_identity_file=str(stage.identity), restore_name=name)
    seconds = time.monotonic() - started
    assert run.rc == 0, run.failures
    last: list[str] = []

    def same() -> bool:
        last[:] = differences(stage.objects, everything(site, site.servers[0]))
        return not last

    wait_until("every object is as it was", same, 60, lambda: "\n".join(last))
    value = site.ssh(site.servers[1], f"{KUBECTL} -n {NAMES} get secret key -o jsonpath='{{.data.value}}' | base64 -d")
    assert value == SECRET
    nodes = site.ssh(site.servers[2], f"{KUBECTL} get nodes --no-headers").splitlines()
    assert len(nodes) == 3
    assert all(line.split()[1] == "Ready" for line in nodes)
    assert (site.secrets / "etcd-ca.pem").is_file()
    print(f"restored in {seconds:.0f} s")
    assert seconds < 300


def test_one_member_that_is_left_goes_on_and_the_others_join_it(stage: Stage) -> None:
    site = stage.site
    left, *lost = site.servers
    for host in lost:
        site.ssh(host, WIPE + BLANK, 120)
    run = site.run("playbooks/recover_quorum.yml")
    assert "name the member whose data the site shall go on with" in run.failures[0]
    run = site.run("playbooks/recover_quorum.yml", recover_from=left.name)
    assert run.rc == 0, run.failures
    run = site.run("site.yml")
    assert run.rc == 0, run.failures
    value = site.ssh(lost[0], f"{KUBECTL} -n {NAMES} get secret key -o jsonpath='{{.data.value}}' | base64 -d")
    assert value == SECRET
