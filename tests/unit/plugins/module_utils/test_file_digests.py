# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files compared by digest: what node_files would change differs, and nothing else does."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.holdfast.edge.plugins.module_utils._node_files.digests import differing, digests
from ansible_collections.holdfast.edge.plugins.module_utils._node_files.look import steps
from ansible_collections.holdfast.edge.plugins.module_utils._node_files.wishes import read_wishes

SECRET = "what nobody may read"


def wishes(root: Path) -> list[dict[str, Any]]:
    return [
        {"path": f"{root}/folder", "state": "directory", "mode": "0750"},
        {"path": f"{root}/folder/file", "content": "text\n"},
        {"path": f"{root}/folder/secret", "secret_content": SECRET},
        {"path": f"{root}/link", "state": "link", "src": "folder/file"},
        {"path": f"{root}/gone", "state": "absent"},
        {"path": f"{root}/theirs", "state": "attributes", "mode": "0600"},
    ]


def make(root: Path) -> None:
    (root / "folder").mkdir(mode=0o750)
    (root / "folder").chmod(0o750)
    (root / "folder/file").write_text("text\n")
    (root / "folder/file").chmod(0o644)
    (root / "folder/secret").write_text(SECRET)
    (root / "folder/secret").chmod(0o600)
    (root / "link").symlink_to("folder/file")
    (root / "theirs").touch(mode=0o600)


def asked(root: Path) -> list[str]:
    """What digests say, which is what node_files says."""
    told = differing(digests(wishes(root)))
    items = [{"state": "file", **wish} for wish in wishes(root)]
    assert told == [str(step.path) for step in steps(read_wishes(items), check_mode=True)]
    return told


def test_what_is_as_wanted_does_not_differ(tmp_path: Path) -> None:
    make(tmp_path)
    assert asked(tmp_path) == []


def test_on_a_blank_host_all_that_shall_be_there_differs(tmp_path: Path) -> None:
    assert asked(tmp_path) == [f"{tmp_path}/{name}" for name in ("folder", "folder/file", "folder/secret", "link")]


@pytest.mark.parametrize("name", ["folder", "folder/file", "folder/secret", "theirs"])
def test_another_mode_or_owner_differs(tmp_path: Path, name: str) -> None:
    make(tmp_path)
    (tmp_path / name).chmod(0o711)
    assert asked(tmp_path) == [f"{tmp_path}/{name}"]


def test_another_text_target_or_kind_differs(tmp_path: Path) -> None:
    make(tmp_path)
    (tmp_path / "folder/file").write_text("drifted\n")
    (tmp_path / "link").unlink()
    (tmp_path / "link").symlink_to("elsewhere")
    (tmp_path / "gone").touch()
    assert asked(tmp_path) == [f"{tmp_path}/{name}" for name in ("folder/file", "link", "gone")]


@pytest.mark.parametrize(("owner", "differs"), [(str(os.geteuid()), False), ("65533", True), ("no-such-user", True)])
def test_an_owner_is_compared_by_name_or_number(tmp_path: Path, owner: str, differs: bool) -> None:
    (tmp_path / "file").write_text("text\n")
    (tmp_path / "file").chmod(0o644)
    wanted = [{"path": f"{tmp_path}/file", "content": "text\n", "owner": owner}]
    assert bool(differing(digests(wanted))) == differs


def test_a_look_carries_no_text_and_knows_what_a_start_reads() -> None:
    told = digests(wishes(Path("/nowhere")), ["/nowhere/link"])
    assert SECRET not in str(told)
    assert [item["path"] for item in told if item["restart"]] == ["/nowhere/link"]
