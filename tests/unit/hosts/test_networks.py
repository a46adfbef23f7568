# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Choosing networks and addresses."""

from __future__ import annotations

from ipaddress import IPv4Network

import pytest

from tests.hosts.model import HostsError
from tests.hosts.networks import POOL, UsedNetwork, addresses, choose, parse, used_by_kernel


def used(*networks: str) -> list[UsedNetwork]:
    """Return these networks as used by somebody."""
    return [UsedNetwork(IPv4Network(network), f"the user of {network}") for network in networks]


def test_the_first_free_network_of_the_pool_is_taken() -> None:
    assert choose(None, used(), 3) == IPv4Network("10.77.0.0/24")
    assert choose(None, used("10.77.0.0/23", "10.77.3.0/30"), 3) == IPv4Network("10.77.2.0/24")


def test_a_network_around_the_whole_pool_leaves_nothing_to_take() -> None:
    with pytest.raises(HostsError, match=r"Every /24 in 10\.77\.0\.0/16 is in use"):
        choose(None, used("10.0.0.0/8"), 3)


def test_a_wanted_network_that_overlaps_another_is_refused_with_the_name_of_its_user() -> None:
    assert choose("192.168.7.0/28", used("192.168.8.0/24"), 3) == IPv4Network("192.168.7.0/28")
    with pytest.raises(HostsError, match=r"overlaps 192\.168\.0\.0/16 of the user of 192\.168\.0\.0/16"):
        choose("192.168.7.0/28", used("192.168.0.0/16"), 3)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("ten", "is not an IPv4 network"),
        ("10.0.0.1/24", "is not an IPv4 network: .*host bits"),
        ("fd00::/64", "is not an IPv4 network"),
        ("127.0.0.0/24", "is not a private network"),
        ("169.254.0.0/16", "is not a private network"),
        ("10.0.0.0/8", "too large or too small"),
        ("10.0.0.0/30", "too large or too small"),
    ],
)
def test_a_network_that_cannot_hold_hosts_is_refused(text: str, sentence: str) -> None:
    with pytest.raises(HostsError, match=sentence):
        parse(text)


def test_addresses_leave_room_below_for_virtual_ones_where_there_is_room() -> None:
    assert addresses(IPv4Network("10.77.0.0/24"), 3) == ["10.77.0.11", "10.77.0.12", "10.77.0.13"]
    assert addresses(IPv4Network("10.77.0.0/29"), 5)[0] == "10.77.0.2"
    assert addresses(IPv4Network("10.77.0.0/29"), 5)[-1] == "10.77.0.6"


@pytest.mark.parametrize("prefix", range(22, 30))
def test_addresses_never_meet_the_gateway_or_the_broadcast(prefix: int) -> None:
    network = IPv4Network(f"10.77.0.0/{prefix}")
    for count in (1, 2, 5, network.num_addresses - 3):
        given = [*addresses(network, count)]
        assert len(set(given)) == count
        assert not {str(network[0]), str(network[1]), str(network[-1])} & set(given)
        assert all(IPv4Network(address).subnet_of(network) for address in given)
    with pytest.raises(HostsError, match="has room for"):
        addresses(network, network.num_addresses - 2)


def test_the_kernel_is_asked_for_what_it_uses() -> None:
    found = used_by_kernel()
    assert any(item.network == IPv4Network("127.0.0.0/8") and item.user == "the interface lo" for item in found)
    assert not any(item.network.prefixlen == 0 for item in found)


def test_the_pool_is_private() -> None:
    assert POOL.is_private
