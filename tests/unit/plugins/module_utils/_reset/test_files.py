# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A reset deletes what is on its list, and nothing that merely lies or leads there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.holdfast.edge.plugins.module_utils._reset.errors import ResetError
from ansible_collections.holdfast.edge.plugins.module_utils._reset.files import Files
from ansible_collections.holdfast.edge.plugins.module_utils._reset.owned import DISKS, TREES
from ansible_collections.holdfast.edge.plugins.module_utils._reset.system import System

Make = Callable[..., Path]


@pytest.fixture
def node(tmp_path: Path) -> Make:
    def make(name: str, content: str = "x") -> Path:
        path = tmp_path / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        return path

    return make


def clear(root: Path, *keep: str) -> list[str]:
    part = Files(System(root), keep)
    seen = part.look()
    part.clear()
    part.clear_last()
    return seen


def test_trees_go_and_what_is_beside_them_stays(tmp_path: Path, node: Make) -> None:
    gone = [node("/etc/rancher/k3s/config.yaml"), node("/var/lib/rancher/k3s/server/token"), node("/etc/holdfast/a/b")]
    stays = [node("/etc/rancher-of-others/x"), node("/var/lib/dpkg/status")]
    assert clear(tmp_path) == ["/etc/holdfast", "/etc/rancher", "/var/lib/rancher"]
    assert not any(path.exists() for path in gone)
    assert all(path.exists() for path in stays)
    assert (tmp_path / "etc").is_dir()


def test_a_link_inside_a_tree_goes_and_not_what_it_leads_to(tmp_path: Path, node: Make) -> None:
    precious = node("/srv/precious")
    node("/var/lib/kubelet/x")
    (tmp_path / "var/lib/kubelet/link").symlink_to(tmp_path / "srv")
    clear(tmp_path)
    assert precious.read_text() == "x"
    assert not (tmp_path / "var/lib/kubelet").exists()


def test_a_tree_that_is_a_link_is_refused(tmp_path: Path, node: Make) -> None:
    node("/srv/precious")
    (tmp_path / "var/lib").mkdir(parents=True)
    (tmp_path / "var/lib/etcd").symlink_to(tmp_path / "srv")
    part = Files(System(tmp_path))
    with pytest.raises(ResetError, match=r"/var/lib/etcd is a link to .*Nothing was changed"):
        part.refuse_links()


def test_no_path_but_those_of_the_list_can_be_given(tmp_path: Path) -> None:
    part = Files(System(tmp_path))
    for path in ("", "/", "/etc", "/var/lib/rancher/.."):
        with pytest.raises(ResetError, match="is not Holdfast's"):
            part._delete_tree(path)


def test_no_tree_is_a_folder_of_the_system() -> None:
    assert all(tree.count("/") >= 2 and ".." not in tree and not tree.endswith("/") for tree in TREES)
    assert not {"/etc/systemd", "/usr/local", "/var/lib", "/var/log", "/run"} & set(TREES)


def test_a_disk_of_the_operator_is_emptied_and_stays(
    tmp_path: Path, node: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    node("/var/lib/etcd/member/wal")
    monkeypatch.setattr("os.path.ismount", lambda path: str(path).endswith("var/lib/etcd"))
    assert "/var/lib/etcd" in DISKS
    clear(tmp_path)
    assert list((tmp_path / "var/lib/etcd").iterdir()) == []
    assert Files(System(tmp_path)).look() == []


def test_backups_stay_where_that_is_wanted(tmp_path: Path, node: Make) -> None:
    kept, gone = node("/var/lib/holdfast/backups/one"), node("/var/lib/holdfast/found/ledger.json")
    clear(tmp_path, "/var/lib/holdfast/backups")
    assert kept.exists()
    assert not gone.exists()
    assert Files(System(tmp_path), ("/var/lib/holdfast/backups",)).look() == []


def test_units_with_their_drop_ins_and_links_go_and_those_of_others_stay(tmp_path: Path, node: Make) -> None:
    top = "/etc/systemd/system"
    ours = [
        node(f"{top}/k3s.service"),
        node(f"{top}/k3s.service.env"),
        node(f"{top}/k3s.service.d/50-holdfast.conf"),
        node(f"{top}/holdfast-etcd.slice"),
        node(f"{top}/haproxy.service.d/50-holdfast.conf"),
    ]
    wants = tmp_path / "etc/systemd/system/multi-user.target.wants"
    wants.mkdir()
    (wants / "k3s.service").symlink_to("../k3s.service")
    stays = [
        node(f"{top}/mine.service"),
        node(f"{top}/ssh.service.d/mine.conf"),
        node("/etc/sysctl.d/90-holdfast.conf"),
    ]
    clear(tmp_path)
    assert not any(path.exists() for path in ours)
    assert not wants.exists() or not any(wants.iterdir())
    assert not (tmp_path / "etc/systemd/system/haproxy.service.d").exists()
    assert all(path.exists() for path in stays)


def test_commands_that_lead_to_our_programs_go(tmp_path: Path, node: Make) -> None:
    folder = tmp_path / "usr/local/bin"
    folder.mkdir(parents=True)
    (folder / "k3s").symlink_to("/usr/local/lib/holdfast/k3s/current/k3s")
    (folder / "kubectl").symlink_to("k3s")
    (folder / "ctr").symlink_to("/opt/own/ctr")
    clear(tmp_path)
    assert [path.name for path in folder.iterdir()] == ["ctr"]
