# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Streams that are taken up again: at another gateway, after the first one died with its connection. Real processes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest
from holdfast_inference.gateway.event_ids import EventId, EventIds
from holdfast_inference.server.errors import ApiError
from holdfast_inference.server.stream import DONE, PING, frame
from starlette.types import Message, Receive, Scope, Send

from .asking import body, of_chunks
from .real_nodes import MODEL, Site, real_site

WANTED = {"X-Holdfast-Event-Ids": "1"}
CHAT = "/v1/chat/completions"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Two nodes behind two gateways."""
    with real_site(tmp_path_factory.mktemp("ids"), names=("a", "b")) as made:
        made.start_gateway(f'nodes_file = "{made.folder / "nodes.json"}"', "gateway-2")
        made.wait_for("gateway-2")
        yield made


Events = list[tuple[str, str]]
"""Of each event its id and its data."""


def events_of(lines: Iterator[str], most: int = 10**9) -> Events:
    """As an EventSource reads them, but strictly: an id, its data, a blank line; pings between."""
    found: Events = []
    told = ""
    for line in lines:
        if line.startswith("id: "):
            assert not told
            told = line[4:]
        elif line.startswith("data: "):
            found.append((told, line[6:]))
            told = ""
            if len(found) == most:
                break
        else:
            assert line in ("", ": ping")
    return found


def ask(
    site: Site, asked: dict[str, Any], headers: dict[str, str], name: str = "gateway", path: str = CHAT
) -> tuple[httpx.Headers, Events]:
    with site.client(name) as client, client.stream("POST", path, json=asked, headers=headers) as response:
        assert response.status_code == 200, response.read()
        return response.headers, events_of(response.iter_lines())


@pytest.mark.parametrize("seeded", [True, False])
def test_a_client_goes_on_at_another_gateway_when_its_own_dies(site: Site, seeded: bool) -> None:
    asked = body("seeded" if seeded else "penalised", stream=True)
    if not seeded:
        del asked["seed"]
    with site.client() as client, client.stream("POST", CHAT, json=asked, headers=WANTED) as response:
        assert response.headers["x-holdfast-event-ids"] == "1"
        begun = events_of(response.iter_lines(), 40)
        site.kill("gateway")
    site.kill("a")
    try:
        _, rest = ask(site, asked, {"Last-Event-ID": begun[-1][0]}, "gateway-2")
    finally:
        site.start_node("a")
        site.start_gateway(f'nodes_file = "{site.folder / "nodes.json"}"')
        site.wait_for("a", "gateway")
    together = [*begun, *rest]
    assert [int(told.split(".")[1]) for told, _ in together] == list(range(1, len(together) + 1))
    assert together[-1][1] == "[DONE]"
    chunks = [json.loads(data) for _, data in together[:-1]]
    assert len({(chunk["id"], chunk["created"]) for chunk in chunks}) == 1
    wanted = asked | {"seed": int(begun[0][0].split(".")[2])}
    _, undisturbed = ask(site, wanted, {})
    assert of_chunks(chunks) == of_chunks([json.loads(data) for _, data in undisturbed[:-1]])
    assert all(not told for told, _ in undisturbed), "who does not ask for ids gets none"


def test_the_last_event_alone_can_be_had_again(site: Site) -> None:
    _, whole = ask(site, body("seeded", stream=True, max_tokens=9), WANTED)
    for place in (0, len(whole) // 2, len(whole) - 2):
        _, rest = ask(site, body("seeded", stream=True, max_tokens=9), {"Last-Event-ID": whole[place][0]}, "gateway-2")
        assert rest == whole[place + 1 :]


def test_generate_goes_on_by_ids_too(site: Site) -> None:
    asked = {"model": MODEL, "prompt": "The lamp", "max_tokens": 20, "seed": 3, "stream": True}
    _, whole = ask(site, asked, WANTED, path="/generate")
    _, rest = ask(site, asked, {"Last-Event-ID": whole[4][0]}, "gateway-2", path="/generate")
    # How much of the prompt was remembered is told last, and differs.
    assert rest[:-1] == whole[5:-1]
    assert json.loads(rest[-1][1])["finish_reason"] == json.loads(whole[-1][1])["finish_reason"]


def test_what_cannot_be_taken_up_is_said(site: Site) -> None:
    asked = body("seeded", stream=True, max_tokens=5)
    _, whole = ask(site, asked, WANTED)
    last = whole[2][0]
    with site.client() as client:
        for told, sent in (
            ("nonsense", asked),
            (last, body("greedy", stream=True, max_tokens=5)),
            (last + "0", asked),
            (last, asked | {"stream": False}),
        ):
            response = client.post(CHAT, json=sent, headers={"Last-Event-ID": told})
            assert (response.status_code, response.json()["error"]["param"]) == (400, "Last-Event-ID")
        wrong = client.post(CHAT, json=asked, headers={"Last-Event-ID": last, "x-api-key": "wrong"})
        assert wrong.status_code == 401
        broken = client.post(CHAT, content=b'{"model": ', headers=WANTED)
        assert (broken.status_code, broken.json()["error"]["code"]) == (400, "invalid_json")
        large = client.post(CHAT, content=b'"' + b"x" * (5 << 20) + b'"', headers=WANTED)
        assert large.status_code == 413
    headers, events = ask(site, body("two", stream=True, max_tokens=5), WANTED)
    assert "x-holdfast-event-ids" not in headers
    assert not any(told for told, _ in events)


def test_a_request_that_is_repeated_with_its_key_is_answered_alike(site: Site) -> None:
    asked = body("penalised", max_tokens=30)
    del asked["seed"]

    def text(key: str, name: str) -> str:
        with openai.OpenAI(base_url=f"{site.url(name)}/v1", api_key=site.client_key, max_retries=0) as asking:
            members = {name: value for name, value in asked.items() if name != "ignore_eos"}
            answer = asking.chat.completions.create(**members, extra_headers={"Idempotency-Key": key})
            return str(answer.choices[0].message.content)

    assert text("order-1", "gateway") == text("order-1", "gateway-2") != text("order-2", "gateway")


# -- what no real site can be made to do on demand --------------------------------------------------------------------
def scripted(parts: list[bytes], asked: dict[str, Any], headers: dict[str, str]) -> bytes:
    """What a client gets when the server sends these parts."""

    async def app(_scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        head = [(b"content-type", b"text/event-stream; charset=utf-8")]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        for part in parts:
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def run() -> bytes:
        transport = httpx.ASGITransport(app=EventIds(app, 10_000))
        async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
            return (await client.post(CHAT, json=asked, headers=headers)).content

    return asyncio.run(run())


def chunk(text: str, model: str = "m") -> bytes:
    return frame({"id": "x", "created": 1, "system_fingerprint": model, "choices": [{"delta": text}]})


def test_pings_and_errors_have_no_id_and_an_error_is_not_counted() -> None:
    asked = {"stream": True}
    error = frame(ApiError(500, "internal_error", "x").body())
    told = scripted([PING, chunk("a") + chunk("b"), PING, error], asked, WANTED).decode()
    lines = told.split("\n")
    assert [line.split(".")[1] for line in lines if line.startswith("id: ")] == ["1", "2"]
    assert told.startswith(": ping\nid: ")
    assert told.endswith(f": ping\n{error.decode()}")


def test_another_model_does_not_go_on_with_an_answer() -> None:
    asked = {"stream": True}
    first = scripted([chunk("a"), chunk("b"), DONE], asked, WANTED).decode()
    last = first.split("\n")[0].removeprefix("id: ")
    again = scripted([chunk("a"), chunk("b"), DONE], asked, {"Last-Event-ID": last}).decode()
    assert first.endswith(again)
    other = scripted([chunk("a", "n"), chunk("b", "n"), DONE], asked, {"Last-Event-ID": last}).decode()
    assert json.loads(other.removeprefix("data: "))["error"]["code"] == "model_changed"


def test_an_id_comes_out_as_it_went_in() -> None:
    # The last is one that /generate may be given, and holds what parts the others.
    for answer in ("chatcmpl-ab12", "order_7:a.b.0123456789abcdef"):
        told = EventId(7, 2**62, 1_790_000_000, answer, "0" * 16, "f" * 16)
        assert EventId.parse(str(told)) == told
    for wrong in ("", "1.2", str(told) + "\n", str(told).replace("1.", "2.", 1), "1.-7" + str(told)[3:]):
        with pytest.raises(ApiError):
            EventId.parse(wrong)


def test_a_client_that_goes_in_the_middle_of_its_body_is_told_on() -> None:
    seen: list[Message] = []

    async def app(_scope: Scope, receive: Receive, _send: Send) -> None:
        seen.append(await receive())

    async def run() -> None:
        messages: list[Message] = [
            {"type": "http.request", "body": b"{", "more_body": True},
            {"type": "http.disconnect"},
        ]

        async def receive() -> Message:
            return messages.pop(0)

        async def send(_message: Message) -> None:
            raise AssertionError("nothing is sent")

        scope = {"type": "http", "method": "POST", "path": CHAT, "headers": [(b"last-event-id", b"x")]}
        await EventIds(app, 10_000)(scope, receive, send)

    asyncio.run(run())
    assert seen == [{"type": "http.disconnect"}]
