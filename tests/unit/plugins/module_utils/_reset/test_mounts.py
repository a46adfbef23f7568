# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What k3s mounted is told from what an operator mounted."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.holdfast.edge.plugins.module_utils._reset.errors import ResetError
from ansible_collections.holdfast.edge.plugins.module_utils._reset.mounts import Mounts, mount_points
from ansible_collections.holdfast.edge.plugins.module_utils._reset.system import Answer, System


class Told(System):
    """A node whose mounts are given, and that remembers what was unmounted."""

    def __init__(self, root: Path, *points: str) -> None:
        super().__init__(root)
        self.points = list(points)
        (root / "proc/self").mkdir(parents=True)
        self._write()

    def run(self, command: object, seconds: float = 30.0, given: str | None = None) -> Answer:
        self.points.remove(list(command)[-1])  # type: ignore[call-overload]
        self._write()
        return Answer(0, "", "")

    def _write(self) -> None:
        lines = [f"{number} 1 0:1 / {point} rw - tmpfs none rw" for number, point in enumerate(self.points)]
        (self.root / "proc/self/mountinfo").write_text("\n".join(lines))


def test_ours_are_unmounted_deepest_first_and_others_stay(tmp_path: Path) -> None:
    node = Told(
        tmp_path, "/", "/var/lib/etcd", "/var/lib/kubelet/pods/a", "/var/lib/kubelet/pods/a/b", "/run/k3s/c", "/mnt"
    )
    mounts = Mounts(node)
    mounts.refuse_strangers()
    assert mounts.look()[0] == "mount /var/lib/kubelet/pods/a/b"
    mounts.clear()
    assert node.points == ["/", "/var/lib/etcd", "/mnt"]
    mounts.refuse_what_is_left()


def test_a_stranger_inside_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ResetError, match=r"/var/lib/rancher/mine.*Nothing was changed.*umount /var/lib/rancher/mine"):
        Mounts(Told(tmp_path, "/var/lib/rancher/mine")).refuse_strangers()


def test_nothing_is_deleted_while_something_is_mounted(tmp_path: Path) -> None:
    with pytest.raises(ResetError, match="no file was deleted"):
        Mounts(Told(tmp_path, "/run/k3s/a")).refuse_what_is_left()


def test_names_with_blanks_are_read() -> None:
    assert mount_points("1 1 0:1 / /mnt/a\\040b rw - tmpfs none rw") == ["/mnt/a b"]
