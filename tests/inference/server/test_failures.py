# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a client sees when something goes wrong, over real sockets. A scripted engine has the failures on demand."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import socket
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest
from holdfast_inference import words
from holdfast_inference.server.keys import new_key

from .running import Running, running, wait_until
from .scripted_engine import Script, ScriptedEngine

STREAM = {"stream": True, "max_tokens": 400}
CHAT = {"model": "shop", "messages": [{"role": "user", "content": "Where?"}], "max_tokens": 50}


def openai_client(server: Running) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key=server.key, max_retries=0)


def events(response: httpx.Response) -> list[Any]:
    return [
        line[6:] if line == "data: [DONE]" else json.loads(line[6:])
        for line in response.iter_lines()
        if line.startswith("data: ")
    ]


@pytest.mark.parametrize(
    "script",
    [
        Script(end="error"),
        Script(end="deadline"),
        Script(end="cancelled"),
        Script(end=None),
        Script(breaks_after=3),
    ],
    ids=["error", "deadline", "cancelled", "no-end", "raises"],
)
def test_a_failure_after_the_first_byte_is_an_event_and_nothing_follows(
    engine: ScriptedEngine, client: httpx.Client, server: Running, script: Script
) -> None:
    engine.script = script
    with client.stream("POST", "/v1/chat/completions", json={**CHAT, "stream": True}) as response:
        told = events(response)
    assert response.status_code == 200
    assert set(told[-1]) == {"error"}
    assert "[DONE]" not in told
    assert all(choice["finish_reason"] is None for event in told[:-1] for choice in event["choices"])
    with pytest.raises(openai.APIError):
        list(openai_client(server).chat.completions.create(**CHAT, stream=True))  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("script", "status", "code"),
    [
        (Script(end="error"), 500, "internal_error"),
        (Script(end="deadline"), 408, "deadline_exceeded"),
        (Script(end="cancelled"), 503, "cancelled"),
        (Script(end=None), 500, "internal_error"),
        (Script(breaks_after=3), 500, "internal_error"),
        (Script(refusal=words.Refused("queue_full", "Full.", retry_after=99)), 429, "queue_full"),
        (Script(refusal=words.Refused("invalid_grammar", "No.")), 422, "invalid_grammar"),
    ],
)
def test_a_failure_before_the_first_byte_has_its_status(
    engine: ScriptedEngine, client: httpx.Client, script: Script, status: int, code: str
) -> None:
    engine.script = script
    response = client.post("/v1/chat/completions", json=CHAT)
    assert (response.status_code, response.json()["error"]["code"]) == (status, code)
    if status in (429, 503):
        assert 1 <= int(response.headers["retry-after"]) <= 30


def test_a_stream_that_fails_before_its_first_token_has_its_status(
    engine: ScriptedEngine, client: httpx.Client
) -> None:
    engine.script = Script(breaks_after=0)
    response = client.post("/v1/chat/completions", json={**CHAT, "stream": True})
    assert (response.status_code, response.headers["content-type"]) == (500, "application/json")


def test_a_failure_names_nothing_of_ours(engine: ScriptedEngine, client: httpx.Client) -> None:
    engine.script = Script(breaks_after=3)
    assert "script" not in client.post("/v1/chat/completions", json=CHAT).text


def test_a_stream_that_waits_pings_in_a_way_that_clients_bear(
    engine: ScriptedEngine, client: httpx.Client, server: Running
) -> None:
    engine.script = Script(before=0.5)
    with client.stream("POST", "/v1/chat/completions", json={**CHAT, "stream": True}) as response:
        raw = response.read()
    assert raw.count(b": ping\n") >= 2
    assert b": ping\n\n" not in raw
    assert raw.endswith(b"data: [DONE]\n\n")
    chunks = list(openai_client(server).chat.completions.create(**CHAT, stream=True))  # type: ignore[call-overload]
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks) == engine.script.text


def test_more_tokens_than_may_be_under_way_are_a_429(engine: ScriptedEngine, client: httpx.Client) -> None:
    engine.script = Script(before=30)
    with client.stream(
        "POST", "/v1/completions", json={"prompt": "x" * 180, "max_tokens": 10, "stream": True}
    ) as first:
        assert first.status_code == 200
        refused = client.post("/v1/completions", json={"prompt": "x" * 30})
        assert (refused.status_code, refused.json()["error"]["type"]) == (429, "rate_limit_error")
        assert 1 <= int(refused.headers["retry-after"]) <= 30
        assert len(engine.answers) == 1
    wait_until(lambda: client.get("/metrics/summary").json()["tokens_in_flight"] == 0)
    engine.script = Script()
    assert client.post("/v1/completions", json={"prompt": "x" * 30}).status_code == 200


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_goes_ends_all_of_its_answers(engine: ScriptedEngine, server: Running, stream: bool) -> None:
    engine.script = Script(text="x" * 400, between=0.05)
    body = json.dumps({**CHAT, "max_tokens": 400, "n": 2, "stream": stream}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {server.key}\r\n"
    with server.connect() as connection:
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        wait_until(lambda: len(engine.answers) == 2)
    wait_until(lambda: all(answer.cancelled.is_set() for answer in engine.answers), 1.0)


def test_a_refusal_of_the_second_answer_ends_the_first(engine: ScriptedEngine, client: httpx.Client) -> None:
    submit, refusal = engine.submit, words.Refused("queue_full", "Full.", retry_after=2)

    def second_is_refused(request: words.Request) -> words.Answer:
        if engine.answers:
            raise refusal
        return submit(request)

    engine.submit = second_is_refused  # type: ignore[method-assign]
    assert client.post("/v1/chat/completions", json={**CHAT, "n": 2}).status_code == 429
    assert engine.answers[0].cancelled.is_set()
    assert client.get("/metrics/summary").json()["tokens_in_flight"] == 0


def test_a_slow_reader_is_cut_off_and_stalls_nobody(
    engine: ScriptedEngine, server: Running, client: httpx.Client
) -> None:
    engine.script = Script(text="x" * 500, between=0.001)
    # Each chunk carries its log probabilities, so that the answers are larger than all buffers between.
    body = json.dumps({**CHAT, **STREAM, "n": 8, "logprobs": True, "top_logprobs": 20}).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {server.key}\r\n"
    with server.connect() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        wait_until(lambda: len(engine.answers) == 8)
        engine.script = Script()
        begun = time.monotonic()
        assert client.post("/v1/completions", json={"prompt": "x"}).status_code in (200, 429)
        assert time.monotonic() - begun < 0.9
        wait_until(lambda: client.get("/metrics/summary").json()["tokens_in_flight"] == 0)
        received = b""
        with contextlib.suppress(ConnectionResetError):
            while part := connection.recv(1 << 16):
                received += part
    assert received.startswith(b"HTTP/1.1 200")
    assert b"[DONE]" not in received
    assert not received.endswith(b"0\r\n\r\n"), "chunked encoding must not end as if it were complete"
    assert 'holdfast_clients_gone_total{route="/v1/chat/completions"} 1' in client.get("/metrics").text.splitlines()
    assert client.get("/metrics/summary").json()["failed"] == 0, "it is no fault of the server"


def test_stopping_tells_streams_that_they_are_not_complete(engine: ScriptedEngine, server: Running) -> None:
    engine.script = Script(text="x" * 400, between=0.05)
    body = {**CHAT, **STREAM}
    with server.client() as client, client.stream("POST", "/v1/chat/completions", json=body) as response:
        lines = response.iter_lines()
        next(lines)
        server.stop()
        told = [json.loads(line[6:]) for line in lines if line.startswith("data: ")]
    assert told[-1]["error"]["code"] == "draining"
    wait_until(lambda: engine.closed)


def test_draining_refuses_what_is_new_and_hands_over_what_runs(engine: ScriptedEngine, server: Running) -> None:
    engine.script = Script(text="x" * 400, between=0.05)
    with server.client() as client, server.client() as other, server.operator() as operator:
        with client.stream("POST", "/v1/chat/completions", json={**CHAT, **STREAM}) as response:
            lines = response.iter_lines()
            next(lines)
            assert operator.post("/admin/drain", json={}).json() == {"draining": True, "under_way": 1, "handed_over": 0}
            refused = other.post("/v1/chat/completions", json=CHAT)
            assert (refused.status_code, refused.json()["error"]["code"]) == (503, "draining")
            assert "retry-after" in refused.headers
            assert other.get("/health/ready").status_code == 503
            assert other.get("/health/live").status_code == 200
            assert operator.post("/admin/drain", json={"hand_over_after": 0.1}).json()["handed_over"] == 1
            told = [json.loads(line[6:]) for line in lines if line.startswith("data: ")]
        assert told[-1]["error"]["code"] == "draining"
        operator.post("/admin/resume", json={})
        engine.script = Script()
        assert other.post("/v1/chat/completions", json=CHAT).status_code == 200


def test_the_operators_paths_are_not_on_the_clients_socket(client: httpx.Client, server: Running) -> None:
    assert client.post("/admin/drain", json={}).status_code == 404
    assert server.admin.stat().st_mode & 0o077 == 0


def test_while_models_are_loaded_only_health_answers(tmp_path: Path) -> None:
    loaded = threading.Event()

    def load() -> words.Engine:
        loaded.wait(20)
        return ScriptedEngine()

    with running(tmp_path, load) as server, server.client() as client:
        try:
            assert client.get("/health/live").status_code == 200
            assert client.get("/health/ready").json()["error"]["code"] == "loading"
            assert client.get("/v1/models").json()["data"] == []
            refused = client.post("/v1/chat/completions", json=CHAT)
            assert (refused.status_code, refused.json()["error"]["code"]) == (503, "loading")
        finally:
            loaded.set()
        wait_until(lambda: client.get("/health/ready").status_code == 200)
        assert client.post("/v1/chat/completions", json=CHAT).status_code == 200


def test_a_server_without_models_stops_with_the_reason(tmp_path: Path) -> None:
    def load() -> words.Engine:
        raise RuntimeError("the folder is not there")

    with pytest.raises(AssertionError, match="the folder is not there"), running(tmp_path, load) as server:
        wait_until(lambda: _is_down(server))


def _is_down(server: Running) -> bool:
    try:
        server.connect().close()
    except OSError:
        return True
    return False


def test_a_deadline_goes_with_the_request(engine: ScriptedEngine, client: httpx.Client) -> None:
    assert (
        client.post("/v1/completions", json={"prompt": "x"}, headers={"X-Holdfast-Deadline-Ms": "0"}).status_code == 400
    )
    client.post("/v1/completions", json={"prompt": "x"}, headers={"X-Holdfast-Deadline-Ms": "5000"})
    deadline = engine.answers[0].request.deadline
    assert deadline is not None
    assert 0 < deadline - time.monotonic() <= 5


def test_the_key_tells_the_priority(engine: ScriptedEngine, server: Running, client: httpx.Client) -> None:
    urgent, line = new_key("urgent", priority=7)
    with server.keys_file.open("a", encoding="utf-8") as file:
        file.write(line + "\n")
    headers = {"Authorization": f"Bearer {urgent}"}
    wait_until(lambda: client.get("/v1/models", headers=headers).status_code == 200)
    client.post("/v1/completions", json={"prompt": "x"}, headers=headers)
    assert engine.answers[0].request.priority == 7


def test_metrics_of_an_engine_stand_beside_the_servers(engine: ScriptedEngine, client: httpx.Client) -> None:
    engine.exposition = lambda: [["own_total 7"]]  # type: ignore[attr-defined]
    assert "own_total 7" in client.get("/metrics").text.splitlines()


def test_a_probe_that_fails_ends_all_of_its_questions(engine: ScriptedEngine, server: Running) -> None:
    engine.script = Script(text="x" * 400, between=0.05)
    submit = engine.submit

    def third_is_refused(request: words.Request) -> words.Answer:
        if len(engine.answers) == 2:
            raise words.Refused("context_length_exceeded", "Too long.")
        return submit(request)

    engine.submit = third_is_refused  # type: ignore[method-assign]
    samples = [{"prompt": str(number), "answer": "x"} for number in range(5)]
    with server.operator() as operator:
        refused = operator.post("/admin/probe", json={"samples": samples, "max_tokens": 400})
    assert (refused.status_code, refused.json()["error"]["code"]) == (400, "context_length_exceeded")
    wait_until(lambda: all(answer.cancelled.is_set() for answer in engine.answers), 1.0)


@pytest.mark.parametrize("stream", [True, False])
def test_a_request_whose_model_was_exchanged_under_it_begins_anew(
    engine: ScriptedEngine, client: httpx.Client, stream: bool
) -> None:
    digests = {"now": "sha256:old"}
    facts, submit = engine.models()["shop"], engine.submit
    engine.models = lambda: {"shop": dataclasses.replace(facts, digest=digests["now"])}  # type: ignore[method-assign]

    def exchanged_meanwhile(request: words.Request) -> words.Answer:
        digests["now"] = "sha256:new"
        return submit(request)

    engine.submit = exchanged_meanwhile  # type: ignore[method-assign]
    response = client.post("/generate", json={"prompt": "x", "max_tokens": 9, "stream": stream})
    assert response.status_code == 200
    assert "sha256:new" in response.text
    assert "sha256:old" not in response.text
    assert [answer.cancelled.is_set() for answer in engine.answers][:1] == [True]
    assert len(engine.answers) == 2
    digests["now"] = "sha256:old"
    resumed = client.post("/generate", json={"prompt": "x", "forced_output_ids": [84], "digest": "sha256:old"})
    assert (resumed.status_code, resumed.json()["error"]["code"]) == (409, "model_changed")
    assert client.get("/metrics/summary").json()["tokens_in_flight"] == 0


def test_a_body_that_is_no_object_is_refused(client: httpx.Client) -> None:
    assert client.post("/generate", content=b"[1]").json()["error"]["code"] == "invalid_type"


@pytest.mark.parametrize("others", [True, False])
def test_a_model_that_is_being_exchanged_is_not_unknown(
    engine: ScriptedEngine, client: httpx.Client, others: bool
) -> None:
    """Clients give up at 404. Where two models do not fit, there is none of that name for as long as one is loaded."""
    facts = engine.models()["shop"]

    def tokenizer(model: str) -> words.Tokenizer:
        raise words.Refused("draining", "It is being exchanged.", retry_after=5)

    engine.models = lambda: {"other": facts} if others else {}  # type: ignore[method-assign]
    engine.tokenizer = tokenizer  # type: ignore[method-assign]
    for path in ("/v1/chat/completions", "/v2/models/shop/generate"):
        response = client.post(path, json={**CHAT, "text_input": "x"})
        assert (response.status_code, response.json()["error"]["code"]) == (503, "draining")
        assert response.headers["retry-after"] == "5"
    ready = client.get("/health/ready")
    wanted = (200, None) if others else (503, "no_model")
    assert (ready.status_code, ready.json().get("error", {}).get("code")) == wanted
