# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong less often than a plug that is pulled: the end of an answer that is lost, a prompt that kills, more
work than fits, no API, no node. Real processes with real engines."""

from __future__ import annotations

import contextlib
import functools
import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from holdfast_inference.server.keys import new_key

from tests.inference.server.running import wait_until

from .asking import body, streamed, whole
from .cutting import Cutter, cutter
from .node_process import MINE
from .real_nodes import MODEL, NAMES, Site, real_nodes, real_site
from .slices_api import SERVICE, endpoint, slice_of, slices_api


# -- the end of an answer ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("tokens", [1, 40])
def test_a_node_that_dies_between_the_last_token_and_the_end(tmp_path: Path, tokens: int) -> None:
    asked = body("seeded", max_tokens=tokens)
    with real_nodes(tmp_path, ("a", "b")) as site, contextlib.ExitStack() as stack:
        with site.client("b") as node:
            wanted = whole(node, asked)
        ports = dict(site.ports)
        cutters = {name: stack.enter_context(cutter(ports[name])) for name in ("a", "b")}
        for name in ("a", "b"):
            site.ports[name] = cutters[name].port
        site.start_gateway(f'nodes_file = "{site.nodes_file(("a", "b"))}"')
        site.ports |= {name: ports[name] for name in ("a", "b")}
        site.wait_for("gateway")
        with site.client() as client:
            for ask in (streamed, whole):
                # Whichever is asked first: it is killed at that moment, and the other one knows the end.
                for name, cutting in cutters.items():
                    cutting.after = b'"index":%d,' % (tokens - 1)
                    cutting.then = functools.partial(_kill_and_disarm, site, name, list(cutters.values()))
                drawn = sum(value for name, value in site.told().items() if name.startswith("node_tokens_total"))
                assert ask(client, asked) == wanted
                now = sum(value for name, value in site.told().items() if name.startswith("node_tokens_total"))
                assert now - drawn == tokens, "nothing is drawn again"
                site.revive("a", "b")
        assert sum(cutting.cuts for cutting in cutters.values()) == 2
        assert site.told()["crashes_total"] == 2


def _kill_and_disarm(site: Site, name: str, cutters: list[Cutter]) -> None:
    for cutting in cutters:
        cutting.after = None
    site.kill(name)


# -- a prompt that kills ----------------------------------------------------------------------------------------------
def test_a_prompt_that_kills_its_node_is_stopped_and_the_others_are_answered(tmp_path: Path) -> None:
    with real_site(tmp_path, mined=True) as site:
        good = [body("seeded", number) for number in range(6)]
        bad = body("greedy") | {"messages": [{"role": "user", "content": MINE}]}
        with site.client() as client, ThreadPoolExecutor(8) as pool:
            wanted = [whole(client, asked) for asked in good]
            answers = [pool.submit(streamed, client, asked) for asked in good]
            deadly = pool.submit(client.post, "/v1/chat/completions", json=bad)
            # As the kubelet would; without it the deadly one waits, since it is kept from the last node.
            restarted = 0
            under_way = True
            while under_way:
                # Once more after the last answer: it may be there before the last death is seen.
                under_way = not deadly.done() or not all(answer.done() for answer in answers)
                for name in NAMES:
                    if not site.processes[name].is_alive():
                        site.processes[name].join()
                        site.start_node(name)
                        restarted += 1
                time.sleep(0.05)
            assert [answer.result() for answer in answers] == wanted
            assert deadly.result().status_code == 500
            assert 2 <= restarted <= 3
            again = client.post("/v1/chat/completions", json=bad)
            assert (again.status_code, again.json()["error"]["param"]) == (400, "prompt")
            # A neighbour that comes later hears of it by the nodes.
            site.wait_for(*NAMES)
            site.start_gateway(f'nodes_file = "{site.nodes_file()}"', "gateway2")
            site.wait_for("gateway2")
            wait_until(lambda: site.told("gateway2").get("quarantine_learned_total") == 1, 20)
            with site.client("gateway2") as neighbour:
                assert neighbour.post("/v1/chat/completions", json=bad).status_code == 400
        assert site.told()["quarantined_total"] == 1
        site.wait_for(*NAMES)
        assert all(site.processes[name].is_alive() for name in NAMES)


# -- more work than fits ----------------------------------------------------------------------------------------------
def test_the_last_in_rank_are_refused_first_and_resumed_work_is_not(tmp_path: Path) -> None:
    with real_site(tmp_path, names=("a", "b"), engine="threads = 1\nqueue_tokens = 4000") as site:
        keys = dict(zip(("first", "last"), (new_key("first", priority=10), new_key("last", priority=-10)), strict=True))
        lines = [(site.folder / "client-keys").read_text(encoding="utf-8"), *(line for _, line in keys.values())]
        (site.folder / "client-keys").write_text("\n".join(lines) + "\n", encoding="utf-8")
        wait_until(lambda: httpx.get(f"{site.url()}/v1/models", headers={"x-api-key": keys["last"][0]}).is_success)
        asked = body("seeded", max_tokens=130)
        # Two nodes of 4,000 tokens: usual work may fill 4,000 of them, the last in rank half of that.
        many = {**asked, "n": 8}
        with ThreadPoolExecutor(24) as pool, contextlib.ExitStack() as stack:
            clients = {name: stack.enter_context(site.client(key=key)) for name, (key, _) in keys.items()}
            usual = stack.enter_context(site.client())
            full = [pool.submit(streamed, usual, many | {"seed": seed}) for seed in range(3)]
            wait_until(lambda: sum(value for name, value in site.told().items() if "under_way" in name) >= 20, 20)
            refused = clients["last"].post("/v1/chat/completions", json=asked)
            assert (refused.status_code, refused.json()["error"]["code"]) == (429, "queue_full")
            assert 1 <= int(refused.headers["retry-after"]) <= 30
            served = pool.submit(whole, clients["first"], asked)
            site.kill("a")
            # What had begun goes on at the other node, however full that is.
            assert all(len(future.result(100)) == 8 for future in full)
            assert served.result(100)
            assert clients["last"].post("/v1/chat/completions", json=asked).status_code == 200
        assert site.told()["shed_total"] >= 1


# -- no API, no node --------------------------------------------------------------------------------------------------
def in_cluster(site: Site, api_url: str, account: Path) -> str:
    return (
        f'nodes_file = "{site.folder}/nodes.json"\n[gateway.kubernetes]\nservice = "{SERVICE}"\n'
        f'url = "{api_url}"\naccount = "{account}"\n'
    )


def test_a_gateway_finds_its_nodes_with_the_api_and_then_without(tmp_path: Path) -> None:
    (tmp_path / "api").mkdir()
    with slices_api(tmp_path / "api") as api, real_nodes(tmp_path, ("a", "b")) as site:
        # All on one address here, so each node has a slice with ports of its own.
        for name in ("a", "b"):
            ports = [{"name": "http", "port": site.ports[name]}, {"name": "heartbeat", "port": site.beats[name]}]
            api.put("ADDED", slice_of(name, endpoint(name, "127.0.0.1", ready=False), ports=ports))
        site.start_gateway(in_cluster(site, api.url, api.account))
        site.wait_for("gateway")
        wait_until(lambda: sum(site.told().get(f"node_beating/{name}", 0) for name in ("a", "b")) == 2, 20)
        with site.client() as client:
            wanted = whole(client, body())
            api.break_off(broken=True)
            site.kill("gateway")
            site.start_gateway(in_cluster(site, api.url, api.account))
            site.wait_for("gateway")
            assert whole(client, body()) == wanted
            # A node that leaves the list goes; one that the list alone has lost is kept as the last one.
            api.break_off(broken=False)
            wait_until(lambda: "the site's nodes changed" in [line["event"] for line in site.log()[-20:]], 20)
            for name in ("a", "b"):
                api.put("DELETED", slice_of(name))
            site.kill("a")
            wait_until(lambda: "node_ready/a" not in site.told(), 30)
            assert whole(client, body()) == wanted


def test_without_any_node_the_client_is_told_to_come_back(tmp_path: Path) -> None:
    with real_site(tmp_path, "patience_seconds = 0.5", ("a", "b")) as site, site.client() as client:
        wanted = whole(client, body())
        for name in ("a", "b"):
            site.kill(name)
        response = client.post("/v1/chat/completions", json=body())
        assert response.status_code == 503
        assert 1 <= int(response.headers["retry-after"]) <= 30
        site.start_node("b")
        wait_until(lambda: client.post("/v1/chat/completions", json=body()).status_code == 200, 30)
        assert whole(client, body()) == wanted


# -- other sites, other clients ---------------------------------------------------------------------------------------
def test_another_site_answers_where_this_one_has_no_node_left(tmp_path: Path) -> None:
    with real_site(tmp_path, names=("a",)) as site:
        site.start_node("b")
        site.wait_for("b")
        site.start_gateway(
            f'nodes_file = "{site.nodes_file(("b",))}"\n[gateway.backup]\nfar = "{site.url("a")}"', "gateway-2"
        )
        site.wait_for("gateway-2")
        with site.client("gateway-2") as client:
            wanted = whole(client, body(max_tokens=400))
            assert site.told("gateway-2")["node_tokens_total/far"] == 0
            with client.stream("POST", "/v1/chat/completions", json=body(max_tokens=400, stream=True)) as response:
                lines = response.iter_lines()
                begun = [next(lines) for _ in range(20)]
                site.kill("b")
                rest = list(lines)
            told = [json.loads(line[6:]) for line in (*begun, *rest) if line.startswith("data: {")]
            text = "".join(chunk["choices"][0]["delta"].get("content") or "" for chunk in told)
            assert text == wanted[0][0]
            assert site.told("gateway-2")["node_tokens_total/far"] > 0


def test_openais_client_asks_a_gateway_like_a_node(tmp_path: Path) -> None:
    with (
        real_site(tmp_path, names=("a",)) as site,
        openai.OpenAI(base_url=f"{site.url()}/v1", api_key=site.client_key, max_retries=0) as asking,
    ):
        assert [model.id for model in asking.models.list()] == [MODEL]
        told: dict[str, Any] = {"model": MODEL, "messages": [{"role": "user", "content": "x"}]}
        # The likeliest tokens: of drawn ones the last may be half a letter, which is no text and is not told.
        answer = asking.chat.completions.create(**told, max_tokens=9, temperature=0, logprobs=True, top_logprobs=2)
        assert answer.choices[0].logprobs is not None
        assert len(answer.choices[0].logprobs.content or []) == 9
        no_type = {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "no"}}}
        for wrong, error in (
            ({"max_tokens": 10_000}, openai.BadRequestError),
            ({"response_format": no_type}, openai.UnprocessableEntityError),
        ):
            with pytest.raises(error):
                asking.chat.completions.create(**told, **wrong)
        with site.client() as client:
            assert "not heard" not in client.get("/status").text
