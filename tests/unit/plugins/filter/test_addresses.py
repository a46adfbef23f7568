# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host's address is the one that its inventory gives, the most deliberate first."""

from __future__ import annotations

import pytest
from ansible_collections.holdfast.edge.plugins.filter.addresses import FilterModule, addresses

HOSTVARS = {
    "a": {"node_address": "10.0.0.1", "ansible_host": "203.0.113.1"},
    "b": {"ansible_host": "10.0.0.2"},
    "c": {},
    "d": {"node_address": "", "ansible_host": "10.0.0.4"},
}


@pytest.mark.parametrize(("host", "address"), [("a", "10.0.0.1"), ("b", "10.0.0.2"), ("c", "c"), ("d", "10.0.0.4")])
def test_the_first_that_is_set_counts(host: str, address: str) -> None:
    assert addresses([host], HOSTVARS) == {host: address}


def test_the_order_is_that_of_the_group() -> None:
    assert list(addresses(["c", "a", "b"], HOSTVARS)) == ["c", "a", "b"]


def test_a_host_that_is_not_in_the_inventory_is_an_error() -> None:
    with pytest.raises(KeyError):
        addresses(["e"], HOSTVARS)


def test_it_is_found_by_its_name() -> None:
    assert FilterModule().filters()["addresses"] is addresses
