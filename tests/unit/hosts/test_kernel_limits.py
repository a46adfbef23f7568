# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The shared kernel's limits are raised where they are too low, and only there."""

from __future__ import annotations

from pathlib import Path

from tests.hosts.kernel_limits import WANTED, raise_limits


def write(root: Path, value: int) -> None:
    for name in WANTED:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"{value}\n", encoding="ascii")


def values(root: Path) -> list[int]:
    return [int((root / name).read_text(encoding="ascii")) for name in WANTED]


def test_low_limits_are_raised_and_it_is_said(tmp_path: Path) -> None:
    write(tmp_path, 128)
    said: list[str] = []
    raise_limits(said.append, tmp_path)
    assert values(tmp_path) == list(WANTED.values())
    assert "fs.inotify.max_user_instances of this machine from 128 to 8192" in said[0]


def test_high_limits_stay_and_nothing_is_said(tmp_path: Path) -> None:
    write(tmp_path, 10_000_000)
    said: list[str] = []
    raise_limits(said.append, tmp_path)
    assert (values(tmp_path), said) == ([10_000_000, 10_000_000], [])
