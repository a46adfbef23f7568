# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A client is told of a failure only where no node could have answered: whatever one node says, or how it ends, the
answer comes from another. Each way here once was a status of 500, or could have been."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from holdfast_inference import words
from holdfast_inference.gateway.blame import Quarantine
from holdfast_inference.gateway.engine import SiteEngine
from holdfast_inference.gateway.heartbeat import State
from holdfast_inference.gateway.listening import Heard
from holdfast_inference.gateway.nodes import Node
from holdfast_inference.gateway.pulse import Pulse
from holdfast_inference.gateway.settings import GatewaySettings
from holdfast_inference.server.settings import Access, Settings

from tests.inference.server.running import running, wait_until
from tests.inference.server.scripted_engine import LetterTokenizer, Script, ScriptedAnswer, ScriptedEngine

from .raw_node import CHUNKED, MODEL, STREAM, RawNode, frames, plain, raw_node, refused
from .test_bad_nodes import TEXT, ask, site

USAGE = {"prompt": 3, "completion": 1, "cached": 0}
FIRST = {"index": 0, "id": ord("T"), "text": "T"}
DEEP = b"[" * 200_000
# A busy machine is no reason to give up: what is slow here is neither node.
PATIENT: dict[str, Any] = {"patience_seconds": 30.0, "stall_seconds": 8.0, "connect_seconds": 4.0}


def finish(**members: Any) -> dict[str, Any]:
    return {"text": "", "finish_reason": "stop", "stop": None, "usage": USAGE, **members}


SAID: dict[str, bytes] = {
    "nothing": b"",
    "an end that is a failure": frames(finish(finish_reason="error")),
    "an end that is none": frames(finish(finish_reason="tired")),
    "an end by its deadline": frames(finish(finish_reason="deadline")),
    "usage in words": frames(finish(usage=dict.fromkeys(USAGE, "many"))),
    "an end without text": frames(finish(text=None)),
    "a stop word that is none": frames(finish(stop=3)),
    "a token without text": frames({**FIRST, "text": None}),
    "an id in words": frames({**FIRST, "id": "T"}),
    "another token than is due": frames({**FIRST, "index": 7}),
    "an error whose code is a list": frames({"error": {"code": ["internal_error"]}}),
    "an error that is none": frames({"error": None}),
    "a refusal whose code is a list": refused(400, {"code": ["invalid_value"], "message": "No."}),
    "a refusal that nests without end": plain(400, '{"error":' + DEEP.decode()),
    "an event that nests without end": STREAM + b"data: " + DEEP + b"\n\n",
    "half a line": STREAM + b'data: {"index":0,"id":84',
    "half a chunk": CHUNKED + b"ff\r\ndata: ",
    "a page": plain(200, "<html>Log in, please.</html>"),
    "a bare 500": plain(500, "Internal Server Error"),
    "a bare 503": plain(503, "no healthy upstream"),
    "a bare 502": plain(502),
    "a refusal of its key": refused(401, {"code": "invalid_api_key", "message": "Who are you?"}),
}


def ask_until_asked(server: Any, nodes: Sequence[RawNode]) -> None:
    """Questions until one was at home at each of these nodes, whole and as a stream; each has its full answer."""
    for number in range(200):
        response = ask(server, messages=[{"role": "user", "content": f"Where? {number}"}], stream=bool(number % 2))
        assert response.status_code == 200, response.text
        assert "error" not in response.text
        if number % 2 == 0:
            assert response.json()["choices"][0]["message"]["content"] == TEXT
        if number >= 7 and all(node.asked > 1 for node in nodes):
            return
    raise AssertionError("not every node was asked")


@pytest.mark.parametrize("way", SAID)
def test_whatever_one_node_says_another_one_answers(tmp_path: Path, way: str) -> None:
    with raw_node(SAID[way]) as bad, site(tmp_path, Script(), more={"bad": bad.url}, **PATIENT) as (server, _engines):
        ask_until_asked(server, [bad])


@pytest.mark.parametrize(
    "said", [STREAM, CHUNKED, CHUNKED + b"4\r\ndata", b""], ids=["stream", "chunks", "half", "none"]
)
def test_a_connection_that_is_reset_at_any_place(tmp_path: Path, said: bytes) -> None:
    with (
        raw_node(said, resets=True) as bad,
        site(tmp_path, Script(), more={"bad": bad.url}, **PATIENT) as (server, _engines),
    ):
        ask_until_asked(server, [bad])


def test_a_node_is_asked_within_the_trace_of_the_client(tmp_path: Path) -> None:
    trace, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    with (
        raw_node(frames(FIRST, finish())) as node,
        site(tmp_path, more={"raw": node.url}, **PATIENT) as (server, _engines),
        server.client(traceparent=f"00-{trace}-{parent}-01", tracestate="shop=1") as client,
    ):
        own = client.post("/v1/completions", json={"prompt": "x"}).headers["traceresponse"]
    assert (node.headers["traceparent"], node.headers["tracestate"]) == (own, "shop=1")
    assert own.startswith(f"00-{trace}-")
    assert parent not in own


@pytest.mark.parametrize("status", [502, 503])
def test_what_a_proxy_says_is_held_against_nobody(tmp_path: Path, status: int) -> None:
    """Two such nodes would be two crashes of one request, which alone was there."""
    with (
        raw_node(plain(status)) as one,
        raw_node(plain(status)) as two,
        site(tmp_path, Script(), more={"one": one.url, "two": two.url}, **PATIENT) as (server, _engines),
        server.client() as client,
    ):
        ask_until_asked(server, [one, two])
        assert "holdfast_gateway_quarantined_total 0" in client.get("/metrics").text


def test_a_summary_that_makes_no_sense_is_not_asked_in_the_middle_of_a_request(tmp_path: Path) -> None:
    with (
        raw_node(frames(finish())) as bad,
        site(tmp_path, Script(), more={"bad": bad.url}, **PATIENT) as (server, _engines),
    ):
        senseless: list[Any] = [{"shop": {}}, {"shop": {"queued_tokens": "many"}}, [], {"shop": None}]
        for models in senseless:
            bad.models = models
            with server.client() as client:
                wait_until(lambda: 'node_ready{node="bad"} 0' in client.get("/metrics").text)
            assert ask(server).status_code == 200
            bad.models = {"shop": MODEL}
            with server.client() as client:
                wait_until(lambda: 'node_ready{node="bad"} 1' in client.get("/metrics").text)


def test_what_a_gateway_looks_at_is_looked_at_in_its_loop_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request with a grammar comes from a thread, and nodes, attempts and counts change while it is looked at: a set
    that changes under its reader was a status of 500."""
    seen: set[int] = set()
    loads: set[int] = set()
    holds, load = Quarantine.holds, Node.load

    def seen_holds(self: Quarantine, model: str, prompt: Sequence[int]) -> bool:
        seen.add(threading.get_ident())
        return holds(self, model, prompt)

    def seen_load(self: Node) -> int:
        loads.add(threading.get_ident())
        return load(self)

    monkeypatch.setattr(Quarantine, "holds", seen_holds)
    monkeypatch.setattr(Node, "load", seen_load)
    with site(tmp_path, Script()) as (server, _engines):
        assert ask(server).status_code == 200
        assert ask(server, response_format={"type": "json_object"}).status_code == 200
    assert len(seen) == 1
    assert loads == seen


def test_an_answer_that_loses_its_last_node_midway_is_refused_and_may_be_asked_again(tmp_path: Path) -> None:
    with (
        raw_node(frames(FIRST, {"error": {"code": "draining"}})) as node,
        site(tmp_path, more={"bad": node.url}, patience_seconds=0.3) as (server, _engines),
    ):
        response = ask(server)
        assert (response.status_code, response.json()["error"]["code"]) == (503, "draining")
        assert int(response.headers["retry-after"]) >= 1
        streamed = ask(server, stream=True)
        assert '"code":"draining"' in streamed.text
        assert "[DONE]" not in streamed.text


def test_where_all_nodes_are_silent_no_request_is_to_blame(tmp_path: Path) -> None:
    """That is a busy machine, or a gateway that is cut off. It once put in quarantine whatever was asked then."""
    said = frames(FIRST, finish())
    with (
        raw_node(said) as one,
        raw_node(said) as two,
        site(tmp_path, more={"one": one.url, "two": two.url}, stall_seconds=0.3, suspect_seconds=0.5) as (
            server,
            _engines,
        ),
        server.client() as client,
    ):
        for node in (one, two):
            node.hangs.set()
        response = ask(server)
        assert (response.status_code, response.json()["error"]["code"]) == (503, "draining")
        assert (one.asked, two.asked) == (1, 1)
        for node in (one, two):
            node.hangs.clear()
        wait_until(lambda: client.get("/metrics").text.count('gateway_node_ready{node="one"} 1') == 1)
        assert ask(server).status_code == 200


def test_an_end_that_was_told_is_the_end_though_its_node_is_given_up_then() -> None:
    """Its process is found to be another one before the connection is closed."""

    async def drawn(url: str) -> tuple[list[words.Event], int]:
        engine = SiteEngine(GatewaySettings({"a": url}), {"shop": LetterTokenizer()})
        await engine.start()
        node = engine.site.all[0]
        events = []
        async for event in engine.submit(words.Request("r", "shop", (65,), 10)):
            events.append(event)
            if isinstance(event, words.Finish):
                for attempt in list(node.attempts):
                    attempt.cut("its process was started anew")
                await asyncio.sleep(0.1)
        crashes = engine.company.counts.crashes
        await engine.site.close()
        return events, crashes

    with raw_node(frames(FIRST, finish())) as node:
        events, crashes = asyncio.run(drawn(node.url))
    assert [type(event) for event in events] == [words.Token, words.Finish]
    assert (crashes, node.asked) == (0, 1)


def test_a_node_whose_model_has_another_tokenizer_is_not_asked() -> None:
    """Also not as the last one: what ids of one tokenizer mean to another is an answer to no question."""

    async def asked(node: RawNode) -> None:
        settings = GatewaySettings({"a": node.url}, look_seconds=0.02, patience_seconds=0.2)
        engine = SiteEngine(settings, {"shop": LetterTokenizer()})
        await engine.start()
        try:
            node.tokenizer = "words"
            async with asyncio.timeout(10):
                while engine.models():
                    await asyncio.sleep(0.01)
            with pytest.raises(words.Refused, match="No node answers"):
                assert not [event async for event in engine.submit(words.Request("r", "shop", (65,), 10))]
            assert node.asked == 0
            node.tokenizer = "letters"
            async with asyncio.timeout(10):
                while not engine.models():
                    await asyncio.sleep(0.01)
            assert [event async for event in engine.submit(words.Request("s", "shop", (65,), 10))]
        finally:
            await engine.site.close()

    with raw_node(frames(FIRST, finish())) as node:
        asyncio.run(asked(node))


@pytest.mark.parametrize("stops", [True, False])
def test_what_a_node_cuts_that_said_that_it_stops_is_no_crash(stops: bool) -> None:
    async def crashes(url: str) -> int:
        settings = GatewaySettings({"a": url}, patience_seconds=0.2, suspect_seconds=0.2)
        engine = SiteEngine(settings, {"shop": LetterTokenizer()})
        await engine.start()
        heard = Heard(("127.0.0.1", 9), lambda: Pulse(1.0, 1.0))
        heard.state = State(ready=True, draining=stops)
        engine.site.all[0].heard = heard
        # Two crashes would be the request's, which is alone there.
        with pytest.raises(words.Refused, match="No node answers") if stops else contextlib.nullcontext():
            events = [event async for event in engine.submit(words.Request("r", "shop", (65,), 10))]
            assert [getattr(event, "reason", "") for event in events] == ["error"]
        found = engine.company.counts.crashes
        await engine.site.close()
        return found

    with raw_node(resets=True) as node:
        found = asyncio.run(crashes(node.url))
        assert node.asked >= 1
    assert (found == 0) == stops


class _Deaf(ScriptedEngine):
    """Its answers do not end when they are told to."""

    def submit(self, request: words.Request) -> words.Answer:
        answer = super().submit(request)
        assert isinstance(answer, ScriptedAnswer)
        answer.cancel = lambda: None  # type: ignore[method-assign]
        return answer


def test_a_server_that_stops_refuses_what_it_has_to_cut(tmp_path: Path) -> None:
    """Else a gateway took it for a crash, and its client for the end of the matter."""

    def settings(access: Access) -> Settings:
        return Settings(port=0, access=access, drain_seconds=0.1)

    made = _Deaf(Script(before=20))
    with running(tmp_path, lambda: made, settings) as server:
        wait_until(lambda: httpx.get(f"{server.url}/health/ready").status_code == 200)
        found: list[httpx.Response] = []
        asking = threading.Thread(target=lambda: found.append(ask(server)))
        asking.start()
        wait_until(lambda: bool(made.answers))
        server.stop()
        asking.join(20)
        for answer in made.answers:
            answer.cancelled.set()
    assert [(response.status_code, response.json()["error"]["code"]) for response in found] == [(503, "stopping")]
    assert found[0].headers["retry-after"] == "1"
