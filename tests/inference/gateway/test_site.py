# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who belongs to a site as its list changes. The nodes are ports that nobody listens on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from holdfast_inference import words
from holdfast_inference.gateway import site as site_module
from holdfast_inference.gateway.engine import SiteEngine
from holdfast_inference.gateway.nodes import Member, Node
from holdfast_inference.gateway.settings import GatewaySettings

A, B = Member("a", "http://127.0.0.1:9"), Member("b", "http://127.0.0.2:9")
B_ANEW = Member("b", "http://127.0.0.3:9")
SETTINGS = GatewaySettings(look_seconds=0.02, connect_seconds=0.2)


def run(test: Callable[[SiteEngine], Awaitable[None]], settings: GatewaySettings = SETTINGS) -> None:
    async def within() -> None:
        engine = SiteEngine(settings, {})
        await engine.site.start()
        try:
            await test(engine)
        finally:
            await engine.site.close()

    asyncio.run(within())


def members(engine: SiteEngine) -> list[tuple[Member, bool]]:
    return [(node.member, node.leaving) for node in engine.site.all]


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.01)


def test_who_is_missing_goes_when_it_is_gone_and_may_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(engine: SiteEngine) -> None:
        engine.site.take_list([A, B])
        engine.site.take_list([A])
        assert members(engine) == [(A, False), (B, True)]
        engine.site.take_list([A, B])
        assert members(engine) == [(A, False), (B, False)], "the same node, with all that is known of it"
        monkeypatch.setattr(site_module, "FORGET_SECONDS", 0.0)
        engine.site.take_list([A])
        await until(lambda: members(engine) == [(A, False)])

    run(test)


def test_the_last_one_stays_whatever_the_list_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site_module, "FORGET_SECONDS", 0.0)

    async def test(engine: SiteEngine) -> None:
        engine.site.take_list([A, B])
        engine.site.take_list([])
        await until(lambda: len(engine.site.all) == 1)
        await asyncio.sleep(0.1)
        assert len(engine.site.all) == 1

    run(test)


def test_the_last_one_that_knows_the_models_stays_until_another_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else clients were told that there is no such model, while a new pod loads it."""
    monkeypatch.setattr(site_module, "FORGET_SECONDS", 0.0)
    facts = {"m": words.ModelFacts("m", "d" * 64, "f", 32, 100, (1,), 4, 2, 1, True, 0.0)}

    async def test(engine: SiteEngine) -> None:
        engine.site.take_list([A, B])
        engine.site.all[0].models = facts
        engine.site.take_list([B])
        await asyncio.sleep(0.2)
        assert members(engine) == [(A, True), (B, False)]
        engine.site.all[1].models = facts
        await until(lambda: members(engine) == [(B, False)])

    run(test)


def test_nodes_of_the_settings_and_other_sites_are_on_no_list() -> None:
    async def test(engine: SiteEngine) -> None:
        engine.site.take_list([])
        assert [(node.name, node.leaving, node.backup) for node in engine.site.all] == [
            ("fixed", False, False),
            ("far", False, True),
        ]

    run(test, GatewaySettings(nodes={"fixed": "http://127.0.0.1:9"}, backup={"far": "http://127.0.0.4:9"}))


def test_a_pod_that_was_made_anew_is_told_once() -> None:
    async def test(engine: SiteEngine) -> None:
        engine.site.take_list([A, B])
        engine.site.take_list([A, B_ANEW])
        new = next(node for node in engine.site.all if node.member is B_ANEW)
        new.drawn = 77
        lines = [line for group in engine.exposition() for line in group]
        told = [line for line in lines if line.startswith('holdfast_gateway_node_tokens_total{node="b"}')]
        assert told == ['holdfast_gateway_node_tokens_total{node="b"} 77']

    run(test)


def test_a_full_site_tells_all_its_nodes_to_people() -> None:
    async def test(engine: SiteEngine) -> None:
        engine.site.take_list([A])
        node: Node = engine.site.all[0]
        node.models = {"m": words.ModelFacts("m", "d" * 64, "f", 32, 100, (1,), 4, 2, 1, True, 0.0)}
        row = engine.neighbours()[0]
        assert (row["node"], row["state"], row["heart"], row["models"]) == ("a", "away", "not heard", "m dddddddddddd")

    run(test)
