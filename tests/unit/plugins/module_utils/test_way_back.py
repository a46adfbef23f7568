# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the way back leads, also after a run that was cut short."""

from __future__ import annotations

import pytest
from ansible_collections.holdfast.edge.plugins.module_utils._way_back import way_back

A, B, C = "1.36.3+k3s1", "1.36.4+k3s1", "1.35.8+k3s1"


def nodes(*pairs: tuple[str, str]) -> dict[str, dict[str, str]]:
    return {
        f"n{number}": {"running": running, "previous": previous} for number, (running, previous) in enumerate(pairs)
    }


@pytest.mark.parametrize(
    ("seen", "version"),
    [
        ([(B, A), (B, A), (B, A)], A),
        # An upgrade that was cut short after the first node.
        ([(B, A), (A, ""), (A, "")], A),
        # A way back that was cut short after the first node.
        ([(A, B), (B, A), (B, A)], A),
        # A way back that was taken to its end: nothing is to be done.
        ([(A, B), (A, B), (A, B)], A),
        # One node was rebuilt since and knows no version before.
        ([(B, A), (B, ""), (B, A)], A),
    ],
)
def test_the_version_before_is_found(seen: list[tuple[str, str]], version: str) -> None:
    found = way_back(nodes(*seen), "k3s")
    assert (found.version, found.faults) == (version, ())


def test_across_a_minor_it_is_refused_with_the_command_that_leads_there() -> None:
    found = way_back(nodes((B, C), (B, C)), "k3s")
    assert found.version == ""
    assert "playbooks/restore.yml" in found.faults[0]
    assert f"k3s_version={C}" in found.faults[0]


def test_without_a_version_before_one_must_be_given() -> None:
    assert "give one that the bundle has" in way_back(nodes((B, "")), "k3s").faults[0]
    assert way_back(nodes((B, "")), "k3s", A).version == A


def test_forward_is_another_verb() -> None:
    assert "upgrade.yml" in way_back(nodes((A, "")), "k3s", B).faults[0]


def test_where_nothing_runs_there_is_nothing_to_go_back_from() -> None:
    assert "runs on none" in way_back(nodes(("", "")), "k3s").faults[0]
