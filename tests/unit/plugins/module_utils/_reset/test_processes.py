# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes of ours, with all that they started, and never the one that asks."""

from __future__ import annotations

from ansible_collections.holdfast.edge.plugins.module_utils._reset.processes import Process, ours_among


def process(pid: int, parent: int, program: str = "/usr/bin/x", arguments: str = "x", groups: str = "") -> Process:
    return Process(pid, parent, "x", program, arguments, groups)


def test_shims_and_their_containers_are_ours() -> None:
    shim = process(
        10, 1, "/x/containerd-shim-runc-v2", "containerd-shim-runc-v2 -address /run/k3s/containerd/containerd.sock"
    )
    found = ours_among([process(1, 0), shim, process(11, 10), process(12, 11), process(20, 1)], own=99)
    assert [one.pid for one in found] == [10, 11, 12]


def test_programs_from_our_folders_are_ours_and_pods_without_a_shim_too() -> None:
    listed = [
        process(10, 1, "/usr/local/lib/holdfast/etcd/3.6.14/etcd"),
        process(11, 1, "/usr/local/lib/holdfast-of-others/x"),
        process(12, 1, groups="0::/kubepods/burstable/pod1"),
        process(13, 1, arguments="containerd-shim -address /run/containerd/containerd.sock"),
    ]
    assert [one.pid for one in ours_among(listed, own=99)] == [10, 12]


def test_who_asks_is_spared_even_below_one_of_ours() -> None:
    listed = [process(10, 1, "/usr/local/lib/holdfast/x/sh"), process(11, 10), process(12, 11), process(13, 10)]
    assert [one.pid for one in ours_among(listed, own=12)] == [13]
