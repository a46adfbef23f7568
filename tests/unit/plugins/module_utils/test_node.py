# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A node's facts are read from its files, and missing files are no crash."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from ansible_collections.holdfast.edge.plugins.module_utils._node import (
    free_space,
    look,
    parse_memory_total,
    parse_os_release,
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "etc").mkdir()
    (tmp_path / "proc/1").mkdir(parents=True)
    (tmp_path / "etc/os-release").write_text(
        'PRETTY_NAME="Ubuntu 24.04.3 LTS"\nID=ubuntu\nVERSION_ID="24.04"\n', encoding="utf-8"
    )
    (tmp_path / "etc/machine-id").write_text("abc\n", encoding="utf-8")
    (tmp_path / "proc/meminfo").write_text("MemTotal:        2097152 kB\nMemFree: 1 kB\n", encoding="utf-8")
    (tmp_path / "proc/1/comm").write_text("systemd\n", encoding="utf-8")
    return tmp_path


def test_the_facts_come_from_the_files_of_the_node(root: Path) -> None:
    node = look("/var/lib", root=root)
    assert (node.distribution, node.major_version, node.pretty_name) == ("Ubuntu", "24", "Ubuntu 24.04.3 LTS")
    assert (node.memory_mb, node.machine_id, node.init) == (2048, "abc", "systemd")
    assert node.cpus >= 1


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("memory.max", "1073741824", 1024),
        ("memory.max", "max", 2048),
        ("memory/memory.limit_in_bytes", "1073741824", 1024),
        ("memory/memory.limit_in_bytes", "9223372036854771712", 2048),
    ],
)
def test_a_container_has_the_memory_that_it_is_granted(root: Path, name: str, text: str, expected: int) -> None:
    limit = root / "sys/fs/cgroup" / name
    limit.parent.mkdir(parents=True)
    limit.write_text(text + "\n", encoding="utf-8")
    assert look("/var/lib", root=root).memory_mb == expected


def test_the_clock_offset_is_told_only_when_asked_for(root: Path) -> None:
    assert look("/var/lib", root=root).clock_offset_seconds is None
    ahead = look("/var/lib", controller_epoch=time.time() - 60, root=root).clock_offset_seconds
    assert ahead is not None
    assert 59 < ahead < 65


def test_a_machine_without_the_files_is_unknown_not_an_error(tmp_path: Path) -> None:
    node = look("/var/lib", root=tmp_path)
    assert (node.distribution, node.machine_id, node.memory_mb, node.init) == ("Unknown", "", 0, "")


def test_half_of_a_restore_is_seen(tmp_path: Path) -> None:
    assert not look("/var/lib", root=tmp_path).restoring
    (tmp_path / "etc/holdfast").mkdir(parents=True)
    (tmp_path / "etc/holdfast/restore-unfinished").touch()
    assert look("/var/lib", root=tmp_path).restoring


def test_quotes_and_comments_of_os_release_are_understood() -> None:
    assert parse_os_release("# a comment = no\nID='debian'\n\nVERSION_ID=\"12\"\nnonsense\n") == {
        "ID": "debian",
        "VERSION_ID": "12",
    }


def test_memory_is_zero_where_it_is_not_told() -> None:
    assert parse_memory_total("") == 0


def test_free_space_is_measured_where_a_folder_will_be(tmp_path: Path) -> None:
    assert free_space(tmp_path / "not/yet/there") == pytest.approx(free_space(tmp_path), rel=0.05)
