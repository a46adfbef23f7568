# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every kind of server, every kind of fault, under a constant load of writes and reads through the site's address.

One site is broken and healed again and again; the faults that need a boot are spread, and every cell waits until all
servers are well. What clients saw is judged from their own history: see tests/history.

The site has its three servers and nothing else: they share the processors of one machine, and what else ran on them
would be measured too. The drill breaks nodes of a site that answers.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.history.gaps import percentile
from tests.history.served import served_site
from tests.history.site_faults import FAULTS, ROLES, Seen, SiteUnderFaults

WRITE_GAP_SECONDS = 1.5
VIP_GAP_SECONDS = 1.1
ALL_DOWN_SECONDS = 180


@pytest.fixture(scope="module")
def servers() -> Iterator[SiteUnderFaults]:
    with served_site(bare=True) as (faults, _built):
        yield faults


@pytest.fixture(scope="module")
def seen(request: pytest.FixtureRequest) -> Iterator[list[Seen]]:
    """What was seen so far; the report at the end is one line of JSON in the log."""
    cells: list[Seen] = []
    yield cells
    if cells:
        capture = request.config.pluginmanager.getplugin("capturemanager")
        with capture.global_and_fixture_disabled():
            print(f"\n{json.dumps(report(cells))}")


def report(cells: list[Seen]) -> dict[str, object]:
    """The figures of the whole matrix."""
    return {
        "kill_matrix": {f"{one.role}/{one.fault}": figures(one) for one in cells},
        "write_gap_ms": percentiles([one.write_gap for one in cells]),
        "beyond_election_ms": percentiles([one.beyond_election for one in cells]),
        "vip_ms": percentiles([one.vip_gap for one in cells]),
        "acknowledged": sum(one.verdict.acknowledged for one in cells),
        "lost_writes": sum(len(one.verdict.lost) for one in cells),
    }


def figures(one: Seen) -> dict[str, object]:
    return {
        "gap_ms": milliseconds(one.write_gap),
        "election_ms": milliseconds(one.election),
        "held_vip": one.held_vip,
        "vip_ms": milliseconds(one.vip_gap),
        "vip_silent_after_s": round(one.vip_gap_began, 1),
        "recovered_s": round(one.recovered, 1),
    }


def percentiles(values: list[float]) -> dict[str, int]:
    return {"p50": milliseconds(percentile(values, 0.5)), "p99": milliseconds(percentile(values, 0.99))}


def milliseconds(seconds: float) -> int:
    return round(seconds * 1000)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("role", ROLES)
def test_nothing_that_was_acknowledged_is_lost_and_nobody_waits_long(
    servers: SiteUnderFaults, seen: list[Seen], role: str, fault: str
) -> None:
    one = servers.try_fault(role, fault)
    seen.append(one)
    assert one.verdict.acknowledged > 0
    assert one.verdict.faults == ()
    assert one.beyond_election <= WRITE_GAP_SECONDS, one
    assert one.vip_gap <= VIP_GAP_SECONDS, one


def test_all_servers_lose_power_and_serve_again_with_nobody_touching_anything(servers: SiteUnderFaults) -> None:
    assert servers.all_down_and_up() <= ALL_DOWN_SECONDS
    servers.wait_well()
