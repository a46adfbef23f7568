# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page for people, in a real browser: it tells what is going on, to those with a key, and nobody else is asked."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from holdfast_inference.server.keys import new_key
from holdfast_inference.server.settings import EngineSettings

from tests.inference.engine.asking import make_model
from tests.inference.gateway import real_nodes
from tests.inference.server.real_site import MODEL, Site, real_site
from tests.inference.server.running import wait_until

from .browser import Browser, browser

SLOTS, CLIENTS = 2, 5
TILES = """Object.fromEntries([...document.querySelectorAll(".tiles div")].map(tile =>
    [tile.querySelector("dt").textContent, parseFloat(tile.querySelector("dd").firstChild.textContent)]))"""
ROWS = """[...document.querySelectorAll("table.rows tbody")].map(table => [...table.rows].map(row =>
    Object.fromEntries([...row.cells].map(cell => [cell.dataset.name, cell.textContent]))))"""
CUT_OFF = "[...document.querySelectorAll('.card')].filter(card => card.scrollWidth > card.clientWidth).length"
# What is written on what, for each piece of text that stands alone.
COLOURS = """[...document.querySelectorAll("h1, .state, .faint, dt, dd, small, th, td div, footer")].map(piece => {
    let ground = piece;
    while (getComputedStyle(ground).backgroundColor === "rgba(0, 0, 0, 0)") ground = ground.parentElement;
    return [getComputedStyle(piece).color, getComputedStyle(ground).backgroundColor];
})"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("model"))


@pytest.fixture
def site(tmp_path: Path, model: Path) -> Iterator[Site]:
    with real_site(tmp_path, model, engine=EngineSettings(slots=SLOTS, threads=1)) as site:
        yield site


@contextlib.contextmanager
def opened(url: str, key: str) -> Iterator[Browser]:
    """The page as an operator opens it: the browser asks for a password, and the key is typed."""
    with browser(key) as page:
        page.open(f"{url}/status")
        yield page


@contextlib.contextmanager
def under_load(site: Site, clients: int) -> Iterator[list[int]]:
    """So many clients ask one question after the other until the end of the block; tells how many were answered."""
    over = threading.Event()
    answered: list[int] = []

    def work() -> None:
        while not over.is_set():
            site.chat(max_tokens=200, extra_body={"ignore_eos": True})
            answered.append(1)

    threads = [threading.Thread(target=work) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield answered
    finally:
        over.set()
        for thread in threads:
            thread.join(60)


def test_the_numbers_follow_the_load_by_themselves(site: Site) -> None:
    with opened(site.server.url, site.server.key) as page:
        assert page.value("document.title") == "ready: Holdfast inference"
        idle = page.value(TILES)
        assert (idle["running"], idle["waiting"], idle["requests, 60 s"], idle["tokens / s"]) == (0, 0, 0, 0)
        assert idle["first token"] is None
        ((row,),) = page.value(ROWS)
        with site.server.client() as client:
            digest = client.get("/v1/models").json()["data"][0]["digest"]
        assert (row["model"], row["running"], row["KV in use"]) == (MODEL, f"0 of {SLOTS}", "0%")
        assert digest.startswith(row["digest"]) and len(row["digest"]) == 16

        with under_load(site, CLIENTS) as answered:
            page.wait(lambda: page.value(TILES)["running"] == SLOTS, "nothing was shown to run")
            # On a busy machine some of the clients are between two requests at each look.
            page.wait(lambda: 0 < page.value(TILES)["waiting"] <= CLIENTS - SLOTS, "nobody was shown to wait")
            page.wait(lambda: int(page.value(ROWS)[0][0]["KV in use"].rstrip("%")) > 0, "no KV was shown in use")
            page.wait(lambda: page.value(TILES)["tokens / s"] > 0, "no tokens were shown")
        page.wait(lambda: page.value(TILES)["running"] == 0, "the load was not shown to end")
        after = page.value(TILES)
        assert after["requests, 60 s"] == len(answered) > 0
        assert after["first token"] > 0
        # All of it without a second look by a person, and without a word to anybody else.
        assert (page.loads, page.asked_for_password, page.console) == (1, 1, [])
        assert {urlsplit(url)[:3] for url in page.requests} == {("http", urlsplit(site.server.url).netloc, "/status")}


def test_a_key_is_needed_and_one_for_metrics_is_enough(site: Site) -> None:
    key, line = new_key("wall", scopes=frozenset({"metrics"}))
    with site.server.keys_file.open("a", encoding="utf-8") as keys:
        keys.write(line + "\n")
    with site.server.client() as client:
        wait_until(lambda: client.get("/status", headers={"Authorization": f"Bearer {key}"}).status_code == 200)
    with opened(site.server.url, key) as page:
        assert "ready" in page.value("document.querySelector('.state').textContent")
    with opened(site.server.url, "hf-another-key") as page:
        assert page.asked_for_password == 2
        assert "invalid_api_key" in page.value("document.body.textContent")
        assert page.value("document.querySelector('main')") is None


@pytest.mark.parametrize("width", [320, 390, 768, 1280, 2560])
def test_it_fits_and_can_be_read(site: Site, width: int) -> None:
    grounds = set()
    with opened(site.server.url, site.server.key) as page:
        for dark in (False, True):
            page.window(width, 800, dark=dark)
            assert page.value("document.documentElement.scrollWidth") <= width
            hidden = (
                "[...document.querySelectorAll('.card')].filter(card => card.scrollWidth > card.clientWidth).length"
            )
            assert page.value(hidden) == 0
            pairs = {tuple(pair) for pair in page.value(COLOURS)}
            assert len(pairs) > 3
            assert all(contrast(*pair) >= 4.5 for pair in pairs), {pair: contrast(*pair) for pair in pairs}
            grounds.add(page.value("getComputedStyle(document.body).backgroundColor"))
    assert len(grounds) == 2


def contrast(one: str, other: str) -> float:
    """How far two colours are apart, as the guidelines for readable pages reckon it; 4.5 is what text needs."""

    def light(colour: str) -> float:
        parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
        red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    brighter, darker = sorted((light(one), light(other)), reverse=True)
    return (brighter + 0.05) / (darker + 0.05)


def test_a_node_that_is_gone_and_comes_back(tmp_path: Path, model: Path) -> None:
    port, made_key = real_nodes.free_port(), new_key("tester")
    with browser(made_key[0]) as page:
        with real_site(tmp_path, model, made_key, port=port) as site:
            page.open(f"{site.server.url}/status")
            assert page.value("document.getElementById('old').hidden")
        page.wait(lambda: not page.value("document.getElementById('old').hidden"), "the page did not say so")
        assert page.value("document.getElementById('old').textContent").startswith("No answer since ")
        assert page.value("document.title").startswith("no answer")
        with real_site(tmp_path, model, made_key, port=port):
            page.wait(lambda: page.value("document.getElementById('old').hidden"), "the page did not go on")
            assert page.value("document.title") == "ready: Holdfast inference"
        assert page.loads == 1


def test_it_renews_itself_without_scripts_too(site: Site) -> None:
    with browser(site.server.key) as page:
        page.tell("Emulation.setScriptExecutionDisabled", value=True)
        page.open(f"{site.server.url}/status")
        page.wait(lambda: page.loads >= 3, "it was not loaded anew")
        assert page.console == []


def test_a_gateway_shows_the_nodes_that_it_knows(tmp_path: Path) -> None:
    with real_nodes.real_site(tmp_path, names=("a", "b")) as site, opened(site.url(), site.client_key) as page:

        def states() -> dict[str, str]:
            return {row["node"]: row["state"] for row in page.value(ROWS)[1]}

        def slots() -> str:
            return str(page.value(ROWS)[0][0]["running"])

        page.wait(lambda: states() == {"a": "ready", "b": "ready"}, "both nodes are ready")
        assert slots() == "0 of 8"
        site.kill("b")
        page.wait(lambda: states()["b"] in ("silent", "away"), "a dead node was not shown")
        assert (states()["a"], slots()) == ("ready", "0 of 4")
        assert page.value("document.querySelectorAll('table.rows .bad').length") == 1
        assert page.console == []
