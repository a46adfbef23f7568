# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes are killed, paused or stopped while they draw: each client sees one full answer, equal byte for byte to the
undisturbed one. Real processes with real engines; nothing is stood in for."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.inference.server.running import wait_until

from .asking import KINDS, Told, body, by_openai, by_socket, difference, streamed, whole
from .real_nodes import MODEL, NAMES, Site, real_site

KILLS = 20
SEED = 6


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with real_site(tmp_path_factory.mktemp("failover")) as site:
        yield site


@pytest.fixture
def site(shared: Site) -> Iterator[Site]:
    """The site, whole again after whatever a test did to it."""
    yield shared
    shared.revive(*NAMES)
    wait_until(lambda: all(shared.told()[f"node_ready/{name}"] for name in NAMES), 20)


@pytest.fixture(scope="module")
def questions(shared: Site) -> list[tuple[dict[str, Any], Told]]:
    """Questions, each with its undisturbed answer, which a node gave that nobody else asked anything."""
    asked = [body(kind) for kind in KINDS]
    with shared.client("a") as client:
        answers = [whole(client, request) for request in asked]
    assert len(set(answers)) >= len(KINDS) - 1
    return list(zip(asked, answers, strict=True))


Asking = list[tuple[dict[str, Any], Told, Future[Told]]]


def ask_all(site: Site, pool: ThreadPoolExecutor, client: httpx.Client, questions: list[tuple[Any, Told]]) -> Asking:
    """Each question by one kind of client, in turn."""
    asking: Asking = []
    for number, (asked, wanted) in enumerate(questions):
        ways = (
            lambda asked=asked: streamed(client, asked),
            lambda asked=asked: by_openai(site, asked),
            lambda asked=asked: by_socket(site, asked),
            lambda asked=asked: whole(client, asked),
        )
        asking.append((asked, wanted, pool.submit(ways[number % len(ways)])))
    return asking


def wrong(asking: Asking) -> list[str]:
    found = [difference(asked, wanted, future.result(100)) for asked, wanted, future in asking]
    return [line for line in found if line]


def moved_midway(site: Site) -> int:
    """Answers that went on at another node after they had begun."""
    return sum(line["event"] == "an answer moves on" and line["drawn"] > 0 for line in site.log())


def drawing(site: Site) -> str:
    """A node from which tokens are coming at this moment."""
    for _ in range(500):
        before, now = site.told(), site.told()
        for name in NAMES:
            if now[f"node_tokens_total/{name}"] > before[f"node_tokens_total/{name}"] and now[f"node_under_way/{name}"]:
                return name
    raise AssertionError("no node draws anything")


def test_twenty_kills_at_any_moment(site: Site, questions: list[tuple[dict[str, Any], Told]]) -> None:
    drawn = random.Random(SEED)
    before = moved_midway(site)
    with site.client() as client, ThreadPoolExecutor(len(questions)) as pool:
        begun = time.monotonic()
        assert wrong(ask_all(site, pool, client, questions)) == []
        seconds = time.monotonic() - begun
        for _ in range(KILLS):
            drawn.shuffle(questions)
            victim = drawn.choice([name for name in NAMES if site.is_ready(name)])
            asking = ask_all(site, pool, client, questions)
            time.sleep(drawn.uniform(0, 0.9 * seconds))
            site.kill(victim)
            site.start_node(victim)
            assert wrong(asking) == []
    assert moved_midway(site) - before >= KILLS / 2, "too little was under way where the kills fell"
    assert site.told()["quarantined_total"] == 0


def test_a_node_that_is_paused_is_left_and_taken_back(site: Site, questions: list[tuple[dict[str, Any], Told]]) -> None:
    before = moved_midway(site)
    with site.client() as client, ThreadPoolExecutor(2 * len(questions)) as pool:
        asking = ask_all(site, pool, client, questions * 2)
        victim = drawing(site)
        site.send(victim, signal.SIGSTOP)
        try:
            assert wrong(asking) == []
            assert not site.told()[f"node_ready/{victim}"]
        finally:
            site.send(victim, signal.SIGCONT)
        wait_until(lambda: bool(site.told()[f"node_ready/{victim}"]), 20)
        assert wrong(ask_all(site, pool, client, questions)) == []
    assert moved_midway(site) > before
    reasons = [line["reason"] for line in site.log() if line["event"] == "an answer moves on"]
    assert "its heartbeats stopped" in reasons


def test_a_node_that_is_told_to_stop_hands_over(site: Site, questions: list[tuple[dict[str, Any], Told]]) -> None:
    before = site.told()
    with site.client() as client, ThreadPoolExecutor(2 * len(questions)) as pool:
        asking = ask_all(site, pool, client, questions * 2)
        site.send(drawing(site), signal.SIGTERM)
        assert wrong(asking) == []
    now = site.told()
    assert now["moved_total"] > before["moved_total"]
    assert now["crashes_total"] == before["crashes_total"], "who hands over has not crashed"


def test_one_node_that_is_left_answers_all(site: Site, questions: list[tuple[dict[str, Any], Told]]) -> None:
    with site.client() as client, ThreadPoolExecutor(len(questions)) as pool:
        for victim in NAMES[:2]:
            asking = ask_all(site, pool, client, questions)
            time.sleep(0.1)
            site.kill(victim)
            assert wrong(asking) == []
        assert wrong(ask_all(site, pool, client, questions)) == []
        # Nothing is asked of one that is known to be dead, and the last one is not given up for being slow to say so.
        assert [name for name in NAMES if site.told()[f"node_ready/{name}"]] == [NAMES[2]]


def test_two_nodes_that_die_at_once_take_nothing_with_them(
    site: Site, questions: list[tuple[dict[str, Any], Told]]
) -> None:
    with site.client() as client, ThreadPoolExecutor(2 * len(questions)) as pool:
        asking = ask_all(site, pool, client, questions * 2)
        victims = [drawing(site)]
        victims.append(next(name for name in NAMES if name not in victims))
        for victim in victims:
            site.send(victim, signal.SIGKILL)
        assert wrong(asking) == []
    assert site.told()["quarantined_total"] == 0


def test_a_client_that_goes_frees_the_node(site: Site) -> None:
    with site.client() as client:
        with client.stream("POST", "/v1/chat/completions", json=body(n=8, max_tokens=400, stream=True)) as response:
            next(response.iter_lines())
        wait_until(lambda: not any(site.told()[f"node_under_way/{name}"] for name in NAMES), 5)

    def is_idle(name: str) -> bool:
        with site.client(name) as client:
            told = client.get("/metrics/summary").json()["models"][MODEL]
        return not (told["running"] or told["waiting"])

    wait_until(lambda: all(map(is_idle, NAMES)), 5)
