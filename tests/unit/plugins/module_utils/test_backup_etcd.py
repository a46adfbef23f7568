# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How etcd's own program is asked: with what patience."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.holdfast.edge.plugins.module_utils._backup import etcd
from ansible_collections.holdfast.edge.plugins.module_utils._backup.errors import BackupError
from ansible_collections.holdfast.edge.plugins.module_utils._backup.settings import Settings

MEMBER = etcd.Member("https://a:2379", "3.6.14", 1, False, False, 1, "1", "1")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """With a program in the place of etcdctl that writes down how it was called, and fails."""
    program = tmp_path / "etcdctl"
    program.write_text('#!/bin/sh\necho "$*" >>"$0.called"\nexit 1\n', encoding="utf-8")
    program.chmod(0o755)
    for name in ("ca.crt", "client.crt", "client.key"):
        (tmp_path / name).touch()
    return Settings("s", "n", {}, ("age1x",), etcdctl=str(program), endpoints=("https://a:2379",), pki=(str(tmp_path),))


def test_a_snapshot_of_much_data_has_the_time_that_it_takes(settings: Settings, tmp_path: Path) -> None:
    """etcdctl counts --command-timeout over the whole snapshot where it is given: 8 s of 100 Mbit/s are 100 MB."""
    with pytest.raises(BackupError, match="gave no snapshot"):
        etcd.take(settings, MEMBER, tmp_path / "snapshot.db")
    assert f"--command-timeout={etcd.SNAPSHOT_SECONDS}s snapshot save" in Path(f"{settings.etcdctl}.called").read_text()


def test_two_dead_members_leave_time_for_the_others(settings: Settings) -> None:
    assert etcd.members(settings)[0] == ()
    assert f"--command-timeout={etcd.MEMBER_SECONDS}s" in Path(f"{settings.etcdctl}.called").read_text()
    assert 2 * etcd.MEMBER_SECONDS < etcd.QUESTION_SECONDS
