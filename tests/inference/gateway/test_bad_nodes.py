# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes that fail on demand: real servers, each with a scripted engine behind it."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import re
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from holdfast_inference import words
from holdfast_inference.gateway.engine import SiteEngine
from holdfast_inference.gateway.settings import GatewaySettings
from holdfast_inference.server.keys import new_key
from holdfast_inference.server.settings import Access, Settings

from tests.inference.server.certificates import Authority
from tests.inference.server.running import Running, running, wait_until
from tests.inference.server.scripted_engine import LetterTokenizer, Script, ScriptedEngine

CHAT = {"model": "shop", "messages": [{"role": "user", "content": "Where?"}], "max_tokens": 50}
TEXT = Script().text


@contextlib.contextmanager
def site(
    folder: Path, *scripts: Script, more: Mapping[str, str] | None = None, **changes: Any
) -> Iterator[tuple[Running, list[ScriptedEngine]]]:
    """A gateway before a node for each script, and before `more`, which are there already."""
    engines = [ScriptedEngine(script) for script in scripts]
    made_key = new_key("gateway")
    with contextlib.ExitStack() as stack:
        servers = []
        for number, engine in enumerate(engines):
            (folder / str(number)).mkdir()
            servers.append(stack.enter_context(_node(folder / str(number), engine, made_key)))

        (folder / "key").write_text(made_key[0], encoding="utf-8")
        (folder / "gateway").mkdir()
        nodes = {str(number): server.url for number, server in enumerate(servers)} | dict(more or {})
        told: dict[str, Any] = {"node_key_file": folder / "key", "stall_seconds": 1.0, "patience_seconds": 1.0}
        made: list[SiteEngine] = []

        async def load() -> SiteEngine:
            made.append(SiteEngine(GatewaySettings(nodes, **(told | changes)), {"shop": LetterTokenizer()}))
            await made[0].start()
            return made[0]

        gateway = stack.enter_context(running(folder / "gateway", load, _settings))
        wait_until(lambda: bool(made) and len(made[0].site.all) == len(nodes))
        wait_until(lambda: all(node.ready for node in made[0].site.all))
        wait_until(lambda: httpx.get(f"{gateway.url}/health/ready").status_code == 200)
        yield gateway, engines


def _settings(access: Access) -> Settings:
    return Settings(port=0, access=access, drain_seconds=0.2)


def _node(
    folder: Path, engine: ScriptedEngine, made_key: tuple[str, str]
) -> contextlib.AbstractContextManager[Running]:
    return running(folder, lambda: engine, made_key=made_key)


def ask(server: Running, **members: Any) -> Any:
    with server.client() as client:
        return client.post("/v1/chat/completions", json={**CHAT, **members})


def asked(engines: list[ScriptedEngine]) -> int:
    return sum(len(engine.answers) for engine in engines)


def test_a_node_that_breaks_in_the_middle_is_followed_by_another(tmp_path: Path) -> None:
    with site(tmp_path, Script(), Script()) as (server, engines):
        ask(server)
        home, other = sorted(engines, key=lambda engine: -len(engine.answers))
        home.script = Script(breaks_after=5)
        for stream in (False, True):
            response = ask(server, stream=stream)
            assert response.status_code == 200
            texts = [
                json.loads(line[6:])["choices"][0]["delta"].get("content", "")
                for line in response.text.splitlines()
                if line.startswith("data: {")
            ]
            assert ("".join(texts) if stream else response.json()["choices"][0]["message"]["content"]) == TEXT
        assert [len(answer.request.forced_output_ids) for answer in other.answers] == [5, 5]


@pytest.mark.parametrize(("breaks_after", "nodes"), [(0, 2), (5, 3)])
def test_a_request_under_which_nodes_fail_is_not_given_to_all_of_them(
    tmp_path: Path, breaks_after: int, nodes: int
) -> None:
    """The first failure says nothing of one that had drawn something there already."""
    with site(tmp_path, *[Script(breaks_after=breaks_after)] * 4) as (server, engines):
        first = ask(server)
        assert (first.status_code, first.json()["error"]["type"]) == (500, "server_error")
        assert asked(engines) == nodes
        again = ask(server)
        assert again.status_code == 400
        assert asked(engines) == nodes
        for engine in engines:
            engine.script = Script()
        assert ask(server, messages=[{"role": "user", "content": "Else?"}]).status_code == 200


def test_text_that_looks_like_the_end_of_a_line_is_text(tmp_path: Path) -> None:
    text = "one\u2028two\u2029three\x85four\x0bfive\r\nsix"
    with site(tmp_path, Script(text=text)) as (server, _engines):
        assert ask(server).json()["choices"][0]["message"]["content"] == text


def test_all_answers_to_one_question_count_before_the_first_is_begun(tmp_path: Path) -> None:
    with site(tmp_path, Script(between=0.01), Script(between=0.01)) as (server, engines):
        # Two nodes that take 1,000 tokens each, so that usual work may fill 1,000: two of four such answers do not fit.
        refused = ask(server, n=4, max_tokens=400)
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "queue_full")
        assert ask(server, n=2, max_tokens=400).status_code == 200
        assert asked(engines) == 2
        assert ask(server, max_tokens=400).status_code == 200, "nothing is counted that is over"


def test_an_answer_that_may_become_long_counts_as_answers_usually_are(tmp_path: Path) -> None:
    """As nodes count it; else a handful of chats that name no limit would be all that a site takes."""
    with site(tmp_path, Script(), Script(), assumed_answer_tokens=100) as (server, engines):
        assert ask(server, n=4, max_tokens=400).status_code == 200
        assert asked(engines) == 4


def test_a_full_node_passes_the_request_on_and_three_full_ones_refuse_it(tmp_path: Path) -> None:
    full = Script(refusal=words.Refused("queue_full", "Full.", retry_after=9))
    with site(tmp_path, full, full, full) as (server, engines):
        refused = ask(server)
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "9")
        engines[1].script = Script()
        assert ask(server).status_code == 200


def test_a_late_first_token_is_asked_of_a_second_node_within_the_budget(tmp_path: Path) -> None:
    with site(tmp_path, Script(), Script(), hedge_from_priority=0) as (server, engines), server.client() as client:
        for _ in range(25):
            assert ask(server).status_code == 200
        home, other = sorted(engines, key=lambda engine: -len(engine.answers))
        home.script = Script(before=20)
        begun = time.monotonic()
        assert ask(server).json()["choices"][0]["message"]["content"] == TEXT
        assert time.monotonic() - begun < 10
        wait_until(home.answers[-1].cancelled.is_set)
        assert len(other.answers[-1].request.forced_output_ids) == 0

        def count(name: str) -> int:
            (found,) = re.findall(rf"holdfast_gateway_{name}_total (\d+)", client.get("/metrics").text)
            return int(found)

        assert count("hedged") >= count("hedges_won") >= 1
        # A budget that is spent is spent: the next one waits for its node.
        home.script = Script(before=0.5)
        for _ in range(6):
            ask(server)
        served = sum(len(answer.request.prompt_ids) + len(TEXT) for answer in (*home.answers, *other.answers))
        assert 0 < count("hedged_tokens") <= 0.05 * served


def test_nodes_that_ask_for_a_certificate(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "site")
    node, gateway = (authority.pair(name) for name in ("node", "gateway"))
    other = Authority(tmp_path, "other").path

    def settings(access: Access) -> Settings:
        both = Access(certificate=node.certificate, private_key=node.key, client_authority=authority.path)
        return Settings(port=0, access=both, drain_seconds=0.2)

    async def ask_node(told: GatewaySettings) -> bool:
        engine = SiteEngine(told, {"shop": LetterTokenizer()})
        try:
            async with asyncio.timeout(1.5):
                await engine.start()
            answer = engine.submit(words.Request("r", "shop", (65,), 10))
            assert [event async for event in answer]
            return True
        except TimeoutError:
            return False
        finally:
            await engine.site.close()

    with running(tmp_path, ScriptedEngine, settings) as server:
        nodes = {"a": f"https://127.0.0.1:{server.port}"}
        right = GatewaySettings(
            nodes, node_authority=authority.path, certificate=gateway.certificate, private_key=gateway.key
        )
        assert asyncio.run(ask_node(right))
        assert not asyncio.run(ask_node(dataclasses.replace(right, node_authority=other)))
        assert not asyncio.run(ask_node(dataclasses.replace(right, certificate=None, private_key=None)))


def test_sites_that_stand_in_for_each_other_do_not_pass_a_request_to_and_fro(tmp_path: Path) -> None:
    far = ScriptedEngine()
    with running(tmp_path, lambda: far) as server:
        (tmp_path / "key").write_text(server.key, encoding="utf-8")
        told = GatewaySettings(
            {"here": "http://127.0.0.1:9"},
            node_key_file=tmp_path / "key",
            backup={"far": server.url},
            patience_seconds=0.2,
        )

        async def both() -> None:
            engine = SiteEngine(told, {"shop": LetterTokenizer()})
            await engine.start()
            try:
                assert [event async for event in engine.submit(words.Request("r", "shop", (65,), 10))]
                assert far.answers[0].request.backup, "the other site is told why it is asked"
                from_there = engine.submit(words.Request("s", "shop", (65,), 10, backup=True))
                with pytest.raises(words.Refused, match="No node answers"):
                    assert not [event async for event in from_there]
            finally:
                await engine.site.close()

        asyncio.run(both())
    assert len(far.answers) == 1


def test_a_key_that_is_exchanged_is_shown_without_a_restart(tmp_path: Path) -> None:
    with site(tmp_path, Script()) as (server, _engines):
        assert ask(server).status_code == 200
        key, line = new_key("gateway")
        (tmp_path / "0" / "keys").write_text(line, encoding="utf-8")
        (tmp_path / "key").write_text(key, encoding="utf-8")
        wait_until(lambda: ask(server).status_code == 200)
        # By then the node has read its file again, and knows no other key.
        time.sleep(1.2)
        assert ask(server).status_code == 200


def test_what_is_wrong_with_a_request_is_told_after_one_node(tmp_path: Path) -> None:
    wrong = Script(refusal=words.Refused("invalid_grammar", "It is endless.", param="grammar"))
    with site(tmp_path, wrong, wrong) as (server, _engines):
        response = ask(server)
        assert (response.status_code, response.json()["error"]["message"]) == (422, "It is endless.")


def test_a_deadline_is_one_deadline_at_all_nodes(tmp_path: Path) -> None:
    with site(tmp_path, Script(before=30), Script(before=30)) as (server, _engines), server.client() as client:
        begun = time.monotonic()
        response = client.post("/v1/chat/completions", json=CHAT, headers={"X-Holdfast-Deadline-Ms": "400"})
        assert (response.status_code, response.json()["error"]["code"]) == (408, "deadline_exceeded")
        assert time.monotonic() - begun < 3


def test_an_answer_never_goes_on_with_another_model(tmp_path: Path) -> None:
    with site(tmp_path, Script(), Script()) as (server, engines):
        facts = dict(engines[0].models())
        for number, engine in enumerate(engines):
            other = {"shop": dataclasses.replace(facts["shop"], digest=f"sha256:{number}")}
            engine.models = lambda other=other: other  # type: ignore[method-assign, misc]
            engine.script = Script(end="cancelled", between=0.01)
        response = ask(server)
        assert (response.status_code, response.json()["error"]["code"]) == (503, "draining")
        assert int(response.headers["retry-after"]) >= 1
        assert sorted(bool(engine.answers) for engine in engines) == [False, True]


def test_an_answer_is_told_to_be_of_the_model_that_draws_it(tmp_path: Path) -> None:
    """While a model is exchanged node by node, nodes differ; by what is told, a stream that is taken up again is known
    to be of another one."""
    with site(tmp_path, Script(), Script()) as (server, engines), server.client() as client:
        facts = engines[0].models()["shop"]
        for number, engine in enumerate(engines):
            own = {"shop": dataclasses.replace(facts, digest=f"sha256:{number}", fingerprint=f"fp_{number}")}
            engine.models = lambda own=own: own  # type: ignore[method-assign, misc]
        drawn = [0, 0]

        def node() -> int:
            """Which one drew since the last time."""
            before, drawn[:] = list(drawn), [len(engine.answers) for engine in engines]
            return 0 if drawn[0] > before[0] else 1

        drew = set()
        for number in range(12):
            prompt = {"model": "shop", "prompt": f"Where? {number}", "max_tokens": 9}
            whole, now = client.post("/generate", json=prompt).json(), node()
            assert (whole["digest"], whole["fingerprint"]) == (f"sha256:{now}", f"fp_{now}")
            chunks, now = client.post("/v1/completions", json={**prompt, "stream": True}).text, node()
            assert set(re.findall("fp_[01]", chunks)) == {f"fp_{now}"}
            told, now = client.post("/v2/models/shop/generate", json={"text_input": prompt["prompt"]}).json(), node()
            assert told["model_version"] == f"sha256:{now}"
            drew.add(now)
        assert drew == {0, 1}
