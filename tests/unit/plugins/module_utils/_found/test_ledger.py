# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was there before is noted once, before it is changed."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.holdfast.edge.plugins.module_utils._found import ledger
from ansible_collections.holdfast.edge.plugins.module_utils._found.ledger import content_of, read, remember
from ansible_collections.holdfast.edge.plugins.module_utils._found.state import sysctl_name, sysctl_path, units


@pytest.fixture(autouse=True)
def anywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests' own folder is one that is not noted, being temporary."""
    monkeypatch.setattr(ledger, "NOT_NOTED", ("/etc/holdfast",))


def test_a_file_is_kept_as_it_was_before_the_first_change_only(tmp_path: Path) -> None:
    path, folder = tmp_path / "sshd_config", tmp_path / "lib/found"
    path.write_text("old")
    path.chmod(0o640)
    assert remember([path], folder) == (str(path),)
    path.write_text("new")
    assert remember([path], folder) == ()
    found = read(folder).paths[str(path)]
    assert (found.kind, found.mode, content_of(found, folder)) == ("file", 0o640, b"old")


def test_what_was_not_there_is_noted_as_such(tmp_path: Path) -> None:
    remember([tmp_path / "a", tmp_path / "b/c"], tmp_path / "found")
    assert {found.kind for found in read(tmp_path / "found").paths.values()} == {"none"}


def test_links_and_folders_are_noted_without_what_is_behind_them(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("nowhere")
    remember([tmp_path / "folder", tmp_path / "link"], tmp_path / "found")
    paths = read(tmp_path / "found").paths
    assert paths[str(tmp_path / "folder")].kind == "folder"
    assert paths[str(tmp_path / "link")].target == "nowhere"


def test_what_is_wholly_ours_is_not_noted(tmp_path: Path) -> None:
    assert remember([Path("/etc/holdfast/x"), Path("/etc/holdfast")], tmp_path / "found") == ()
    assert not (tmp_path / "found").exists()


def test_a_name_that_only_begins_like_ours_is_noted(tmp_path: Path) -> None:
    assert remember([Path("/etc/holdfast-of-others")], tmp_path / "found") == ("/etc/holdfast-of-others",)


def test_nobody_else_may_read_the_ledger(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    remember([tmp_path / "secret"], tmp_path / "found")
    assert (tmp_path / "found").stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "found/files").iterdir()} == {0o600}


def test_the_state_is_that_of_the_first_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remember([tmp_path / "a"], tmp_path / "found")
    first = read(tmp_path / "found").state
    monkeypatch.setattr(ledger, "look_at_state", lambda: pytest.fail("looked again"))
    remember([tmp_path / "b"], tmp_path / "found")
    assert read(tmp_path / "found").state == first


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("net.ipv4.ip_forward", "net/ipv4/ip_forward"),
        ("net.ipv4.conf.eth0/1.rp_filter", "net/ipv4/conf/eth0.1/rp_filter"),
    ],
)
def test_parameters_and_their_paths(name: str, path: str) -> None:
    assert str(sysctl_path(name)) == f"/proc/sys/{path}"
    assert sysctl_name(Path(path)) == name


def test_units_that_start_at_boot_and_those_that_are_masked(tmp_path: Path) -> None:
    wants = tmp_path / "etc/systemd/system/multi-user.target.wants"
    wants.mkdir(parents=True)
    (wants / "ssh.service").symlink_to("/lib/systemd/system/ssh.service")
    (wants.parent / "apt.timer").symlink_to("/dev/null")
    assert units(tmp_path) == (["multi-user.target.wants/ssh.service"], ["apt.timer"])
