# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every role is built from, on a real host, as a user who becomes root by sudo."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.playbook import Run
from tests.site import Site, site_hosts

Play = Callable[..., Run]
OPERATOR = "op"
LIB = "/usr/local/lib/holdfast"
SECRET = "the-one-that-nobody-may-see\nnot even 'quoted'"
SMALL = "flannel-cni-plugin"


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """One host, which is entered by a user who is not root."""
    with site_hosts("hfound", servers=1, network="10.91.0.0/24") as site:
        site.ssh(
            site.servers[0],
            f"useradd --create-home {OPERATOR} && install -d -o {OPERATOR} -m 700 /home/{OPERATOR}/.ssh"
            f" && install -o {OPERATOR} -m 600 /root/.ssh/authorized_keys /home/{OPERATOR}/.ssh/authorized_keys"
            f" && echo '{OPERATOR} ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/{OPERATOR}",
        )
        yield site.with_variables(ansible_user=OPERATOR, ansible_become=True)


@pytest.fixture
def play(site: Site, tmp_path: Path) -> Play:
    """Run tasks on the host."""

    def run(*tasks: dict[str, Any], cmdline: str = "") -> Run:
        named = [{"name": next(iter(task)).rpartition(".")[2], **task} for task in tasks]
        playbook = tmp_path / "play.yml"
        playbook.write_text(
            yaml.safe_dump([{"hosts": "servers", "gather_facts": False, "tasks": named}]), encoding="utf-8"
        )
        return site.run(playbook, cmdline=cmdline)

    return run


@pytest.fixture
def sh(site: Site) -> Callable[[str], str]:
    """What a command prints on the host."""
    return lambda command: site.ssh(site.servers[0], command).strip()


def changes(run: Run) -> int:
    return run.changed.get("hfound-1", 0)


def files(*items: dict[str, Any]) -> dict[str, Any]:
    return {"holdfast.edge.node_files": {"files": list(items)}}


def service(**wish: Any) -> dict[str, Any]:
    return {"holdfast.edge.node_service": {"name": "hftest", "settle_seconds": 0.5, **wish}}


def artifact(bundle: Path | str, **wish: Any) -> dict[str, Any]:
    return {"holdfast.edge.node_artifact": {"bundle_path": str(bundle), **wish}}


WANTED = (
    {"path": "/etc/holdfast-test", "state": "directory", "mode": "0750"},
    {"path": "/etc/holdfast-test/plain.conf", "content": "key = value\n", "group": "adm"},
    {"path": "/etc/holdfast-test/token", "secret_content": SECRET},
    {"path": "/etc/holdfast-test/link", "state": "link", "src": "plain.conf"},
    {"path": "/etc/holdfast-test/old", "state": "absent"},
)


def test_files_are_shown_then_written_then_left_alone_then_repaired(play: Play, sh: Callable[[str], str]) -> None:
    shown = play(files(*WANTED), cmdline="--check --diff")
    assert (shown.rc, changes(shown)) == (0, 1), shown.stdout
    assert "+key = value" in shown.stdout
    assert sh("ls /etc/holdfast-test 2>&1 || true").endswith("No such file or directory")

    first = play(files(*WANTED), cmdline="-vvv --diff")
    assert (first.rc, changes(first)) == (0, 1), first.stdout
    listing = "stat -c '%a %U %G %n' /etc/holdfast-test /etc/holdfast-test/[pt]*; readlink /etc/holdfast-test/link"
    expected = [
        "750 root root /etc/holdfast-test",
        "644 root adm /etc/holdfast-test/plain.conf",
        "600 root root /etc/holdfast-test/token",
        "plain.conf",
    ]
    assert sh(listing).splitlines() == expected
    assert sh("cat /etc/holdfast-test/token") == SECRET
    assert sh("ls -A /etc/holdfast-test").split() == ["link", "plain.conf", "token"]

    assert changes(play(files(*WANTED))) == 0
    sh("cd /etc/holdfast-test && chmod 666 plain.conf token && echo hand >> token && ln -sf /tmp link && touch old")
    mended = play(files(*WANTED), cmdline="--diff")
    assert mended.results("node_files")[0]["changed_paths"] == [
        f"/etc/holdfast-test/{name}" for name in ("plain.conf", "token", "link", "old")
    ]
    assert "secret differs" in mended.stdout
    assert sh(listing).splitlines() == expected

    everything = first.stdout + mended.stdout + str(first.events) + str(mended.events)
    assert "nobody-may-see" not in everything.replace(repr(WANTED), "")
    assert sh("journalctl --no-pager | grep -c nobody-may-see || true") == "0"
    assert "Invoked with files=" in sh("journalctl --no-pager | grep node_files")


def test_a_file_that_its_program_refuses_leaves_all_files_as_they_were(play: Play, sh: Callable[[str], str]) -> None:
    sh("mkdir -p /etc/holdfast-judged && echo old > /etc/holdfast-judged/first")
    run = play(
        files(
            {"path": "/etc/holdfast-judged/new", "state": "directory"},
            {"path": "/etc/holdfast-judged/first", "content": "new\n"},
            {
                "path": "/etc/holdfast-judged/sshd_config",
                "content": "Port 22\nPermitRootLogin perhaps\n",
                "validate": ["/usr/sbin/sshd", "-t", "-f", "%s"],
            },
        )
    )
    assert run.rc != 0
    assert "/etc/holdfast-judged/sshd_config line 2: unsupported option" in run.failures[0]
    assert "Nothing was changed" in run.failures[0]
    assert sh("cat /etc/holdfast-judged/first; ls -A /etc/holdfast-judged") == "old\nfirst"


def test_an_artifact_is_installed_upgraded_and_rolled_back(
    play: Play, sh: Callable[[str], str], bundle_path: Path
) -> None:
    entries = json.loads((bundle_path / "bundle.json").read_text(encoding="utf-8"))["files"]
    old, new = sorted({entry["version"] for entry in entries if entry["name"] == "etcd"})
    wish = {"name": "etcd", "files": ["etcdctl"], "links": {"/usr/local/bin/etcdctl": "etcdctl"}}

    shown = play(artifact(bundle_path, version=old, **wish), cmdline="--check --diff")
    assert (shown.rc, changes(shown)) == (0, 1), shown.stdout
    assert f"+etcd current: {old}" in shown.stdout
    assert sh(f"ls {LIB} 2>&1 || true").endswith("No such file or directory")

    first = play(artifact(bundle_path, version=old, **wish))
    assert (first.rc, changes(first)) == (0, 1), first.stdout
    assert "copying etcdctl of etcd" in first.stdout, "a large file is announced"
    assert f"etcdctl version: {old}" in sh("etcdctl version")
    assert sh(f"stat -c '%a %U' {LIB}/etcd/{old}/etcdctl; ls -A {LIB}/etcd").split() == ["755", "root", old, "current"]

    upgraded = play(artifact(bundle_path, **wish))
    told = upgraded.results("node_artifact")[0]
    assert (told["version"], told["current_before"], told["previous"], told["activated"]) == (new, old, old, True)
    assert f"etcdctl version: {new}" in sh("etcdctl version")
    assert changes(play(artifact(bundle_path, **wish))) == 0

    sh(f"printf x | dd of={LIB}/etcd/{new}/etcdctl bs=1 seek=4096 conv=notrunc status=none; rm /usr/local/bin/etcdctl")
    mended = play(artifact(bundle_path, **wish))
    assert mended.results("node_artifact")[0]["copied"] == ["etcdctl"]
    assert f"etcdctl version: {new}" in sh("etcdctl version")

    back = play(artifact("", version=old, **wish))
    assert (back.rc, back.results("node_artifact")[0]["previous"]) == (0, new), back.stdout
    assert f"etcdctl version: {old}" in sh("etcdctl version")


def test_a_bundle_that_was_changed_is_refused_before_anything_is_copied(
    play: Play, sh: Callable[[str], str], bundle_path: Path, tmp_path: Path
) -> None:
    manifest = json.loads((bundle_path / "bundle.json").read_text(encoding="utf-8"))
    manifest["files"] = [entry for entry in manifest["files"] if entry["name"] == SMALL]
    path = tmp_path / "bundle" / manifest["files"][0]["path"]
    path.parent.mkdir(parents=True)
    shutil.copyfile(bundle_path / manifest["files"][0]["path"], path)
    (tmp_path / "bundle/bundle.json").write_text(json.dumps(manifest), encoding="utf-8")
    with path.open("r+b") as stream:
        stream.seek(1000)
        stream.write(b"evil")

    run = play(artifact(tmp_path / "bundle", name=SMALL))
    assert run.rc != 0
    assert f"{path} was changed after the bundle was made" in run.failures[0]
    assert "Nothing was copied" in run.failures[0]
    assert sh(f"ls {LIB}/{SMALL} 2>&1 || true").endswith("No such file or directory")


def test_a_disk_that_is_too_small_is_refused_with_numbers_before_anything_is_copied(
    play: Play, sh: Callable[[str], str], bundle_path: Path
) -> None:
    sh("mkdir -p /mnt/small && mount -t tmpfs -o size=18m tmpfs /mnt/small")
    run = play(artifact(bundle_path, name=SMALL, dest="/mnt/small/plugin"))
    assert run.rc != 0
    assert "MiB at /mnt/small, and 18.0 MiB are free" in run.failures[0]
    sh("mount -o remount,size=64m /mnt/small")
    assert changes(play(artifact(bundle_path, name=SMALL, dest="/mnt/small/plugin"))) == 1
    assert changes(play(artifact(bundle_path, name=SMALL, dest="/mnt/small/plugin"))) == 0
    assert sh("ls -A /mnt/small; stat -c %a /mnt/small/plugin; umount /mnt/small") == "plugin\n644"


def unit(program: str) -> dict[str, Any]:
    """A unit that systemd starts again for ever."""
    lines = (
        "[Unit]",
        "StartLimitIntervalSec=0",
        "[Service]",
        f"ExecStart={program}",
        "Restart=always",
        "RestartSec=0.2",
        "[Install]",
        "WantedBy=multi-user.target",
    )
    return files({"path": "/etc/systemd/system/hftest.service", "content": "\n".join((*lines, ""))})


def test_a_service_is_started_awaited_and_its_failure_is_told_in_its_own_words(
    play: Play, sh: Callable[[str], str]
) -> None:
    wish = service(state="started", enabled=True, daemon_reload=True)
    shown = play(unit("/bin/sleep 1000"), wish, cmdline="--check --diff")
    assert (shown.rc, changes(shown)) == (0, 2), shown.stdout
    assert "+state: active" in shown.stdout

    assert changes(play(unit("/bin/sleep 1000"), wish)) == 2
    assert sh("systemctl is-active hftest; systemctl is-enabled hftest").split() == ["active", "enabled"]
    assert changes(play(unit("/bin/sleep 1000"), wish)) == 0

    broken = play(
        unit("/bin/sh -c 'echo no certificate at /etc/x; exit 3'"), service(state="restarted", daemon_reload=True)
    )
    assert broken.rc != 0
    assert re.search(r"hftest.service keeps ending and was started again \d+ times", broken.failures[0])
    assert "no certificate at /etc/x" in broken.failures[0]
    assert "Put right what they name, then run this again." in broken.failures[0]

    stopped = play(service(state="stopped", enabled=False))
    assert (stopped.rc, changes(stopped)) == (0, 1)
    # One that had just ended by itself once more is "failed" and stays so: stopped all the same.
    active, enabled = sh("systemctl is-active hftest; systemctl is-enabled hftest; true").split()
    assert active in ("inactive", "failed") and enabled == "disabled"


def test_a_secret_is_the_same_for_all_who_ask_and_is_never_shown(play: Play, site: Site, tmp_path: Path) -> None:
    ask = {"holdfast.edge.site_secret": {"path": str(tmp_path / "secrets"), "name": "k3s-token"}, "register": "token"}
    keep = files({"path": "/etc/holdfast-token", "secret_content": "{{ token.value }}"})
    assert changes(play(ask, keep, cmdline="--check")) == 2
    assert not (tmp_path / "secrets").exists()

    first = play(ask, keep, cmdline="-vvv --diff")
    assert changes(first) == 2, first.stdout
    value = (tmp_path / "secrets/k3s-token").read_text(encoding="utf-8")
    assert value == site.ssh(site.servers[0], "sudo cat /etc/holdfast-token")
    assert value not in first.stdout + str(first.events)

    password = tmp_path / "password"
    password.write_text("of the vault", encoding="utf-8")
    sealed = play(ask, keep, cmdline=f"--vault-password-file {password}")
    assert changes(sealed) == 1, "the file is sealed, and its value is the same"
    assert (tmp_path / "secrets/k3s-token").read_text(encoding="utf-8").startswith("$ANSIBLE_VAULT;")
    assert changes(play(ask, keep, cmdline=f"--vault-password-file {password}")) == 0
    refused = play(ask, keep)
    assert "is sealed with Ansible Vault and this run cannot open it" in refused.failures[0]
