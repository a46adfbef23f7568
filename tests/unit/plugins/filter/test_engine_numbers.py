# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A node keeps its engine's number whatever the inventory's order; what a volume would have to forget is told."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.holdfast.edge.plugins.filter.engine_numbers import FilterModule, engine_numbers


def volumes(*nodes: str, namespace: str = "inference") -> list[dict[str, Any]]:
    """As the chart makes them: the first node has number 0."""
    return [
        {
            "metadata": {"name": f"{namespace}-llm-{node}"},
            "spec": {
                "claimRef": {"namespace": namespace, "name": f"store-llm-{number}"},
                "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [{"values": [node]}]}]}},
            },
        }
        for number, node in enumerate(nodes)
        if node
    ]


@pytest.mark.parametrize(
    ("before", "hosts", "nodes", "moved"),
    [
        ("", "abc", "abc", []),
        ("abc", "abc", "abc", []),
        # Another order, and a server that the inventory has before the workers.
        ("abc", "cab", "abc", []),
        ("abw", "abcw", "abwc", []),
        # The last one leaves, and comes back.
        ("abc", "ab", "ab", []),
        # One takes another's place; one before the last leaves; the first one leaves.
        ("abc", "adc", "adc", ["1 b d"]),
        ("abc", "abd", "abd", ["2 c d"]),
        ("abc", "ac", "ac", ["1 b c", "2 c "]),
        ("abc", "bc", "cb", ["0 a c", "2 c "]),
        ("abcde", "abe", "abe", ["2 c e", "4 e "]),
    ],
)
def test_a_node_keeps_its_number(before: str, hosts: str, nodes: str, moved: list[str]) -> None:
    told = engine_numbers(list(hosts), volumes(*before), "inference")
    assert told["nodes"] == list(nodes)
    assert [f"{one['number']} {one['from']} {one['to']}" for one in told["moved"]] == moved
    assert [one["volume"] for one in told["moved"]] == [f"inference-llm-{one['from']}" for one in told["moved"]]


def test_what_was_let_go_is_free_for_anybody() -> None:
    told = engine_numbers(["a", "c"], volumes("a"), "inference")
    assert (told["nodes"], told["moved"]) == (["a", "c"], [])


def test_engines_of_another_namespace_are_not_ours() -> None:
    told = engine_numbers(["b", "a"], volumes("a", "b", namespace="other"), "inference")
    assert (told["nodes"], told["moved"]) == (["b", "a"], [])


def test_it_is_found_by_its_name() -> None:
    assert FilterModule().filters()["engine_numbers"] is engine_numbers
