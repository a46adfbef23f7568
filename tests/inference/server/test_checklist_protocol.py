# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The check list of the API, T5 to T8 and T15 to T20: errors, limits, and clients that go. A real engine on loopback;
what needs failures on demand is in test_failures, what needs bare sockets in test_connections, keys in test_access."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import openai
import pytest
from holdfast_inference.server.settings import Admission, Limits

from .real_site import MODEL, Site, real_site
from .running import wait_until

CHAT: dict[str, Any] = {"model": MODEL, "messages": [{"role": "user", "content": "Where is the lamp?"}]}
LONG: dict[str, Any] = {"model": MODEL, "prompt": "The lamp", "max_tokens": 480, "ignore_eos": True, "temperature": 0}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    with real_site(folder, limits=Limits(body_bytes=200_000), admission=Admission(tokens=12_000)) as site:
        yield site


@pytest.fixture
def client(site: Site) -> Iterator[httpx.Client]:
    with site.server.client() as client:
        yield client


def is_idle(client: httpx.Client) -> bool:
    told = client.get("/metrics/summary").json()
    return not (told["tokens_in_flight"] or told["models"][MODEL]["running"] or told["models"][MODEL]["waiting"])


@pytest.mark.parametrize(
    ("members", "error", "code"),
    [
        ({"temperature": -1}, openai.BadRequestError, "invalid_value"),
        ({"messages": [{"role": "user", "content": "long " * 600}]}, openai.BadRequestError, "context_length_exceeded"),
        ({"model": "other"}, openai.NotFoundError, "model_not_found"),
        ({"modalities": ["audio"]}, openai.UnprocessableEntityError, "unsupported_value"),
        ({"messages": [{"role": "user", "content": "x" * 300_000}]}, openai.APIStatusError, "body_too_large"),
    ],
)
def test_t5_errors_reach_openais_client_whole(
    site: Site, members: dict[str, Any], error: type[openai.APIStatusError], code: str
) -> None:
    with pytest.raises(error) as caught:
        site.chat(**members)
    told = caught.value
    assert told.code == code
    assert isinstance(told.body, dict)
    assert set(told.body) == {"message", "type", "param", "code"}
    assert str(told.body["message"]) in str(told)


def test_t5_a_wrong_key(site: Site) -> None:
    with pytest.raises(openai.AuthenticationError) as caught:
        site.openai.with_options(api_key="wrong").models.list()
    assert caught.value.code == "invalid_api_key"


def test_t7_too_much_work_is_a_429_and_is_gone_when_the_work_is(site: Site, client: httpx.Client) -> None:
    begun = threading.Barrier(31)

    def ask(_number: int) -> httpx.Response:
        begun.wait()
        return client.post("/v1/completions", json={**LONG, "n": 4})

    with ThreadPoolExecutor(30) as pool:
        asked = [pool.submit(ask, number) for number in range(30)]
        begun.wait()
        responses = [future.result() for future in asked]
    statuses = {response.status_code for response in responses}
    assert statuses == {200, 429}
    for response in responses:
        if response.status_code == 429:
            assert 1 <= int(response.headers["retry-after"]) <= 30
            assert response.json()["error"]["type"] == "rate_limit_error"
        else:
            assert len({choice["text"] for choice in response.json()["choices"]}) == 1
    wait_until(lambda: is_idle(client))
    assert site.chat().usage.completion_tokens == 24


def test_t8_streams_ping_while_they_are_queued(site: Site, client: httpx.Client) -> None:
    def ask(_number: int) -> bytes:
        return client.post("/v1/completions", json={**LONG, "stream": True}).content

    with ThreadPoolExecutor(12) as pool:
        streams = list(pool.map(ask, range(12)))
    assert any(b": ping\n" in stream for stream in streams)
    assert not any(b": ping\n\n" in stream for stream in streams)
    texts = {"".join(choice["text"] for choice in choices_of(stream)) for stream in streams}
    assert len(texts) == 1, "the same request has the same answer, alone or in company"


def choices_of(stream: bytes) -> list[dict[str, Any]]:
    lines = [line[6:] for line in stream.decode().splitlines() if line.startswith("data: {")]
    return [json.loads(line)["choices"][0] for line in lines]


def test_t8_nothing_between_may_hold_a_stream_back(client: httpx.Client) -> None:
    headers = {"Accept-Encoding": "gzip, br"}
    response = client.post("/v1/chat/completions", json={**CHAT, "max_tokens": 3, "stream": True}, headers=headers)
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert response.headers["cache-control"] == "no-cache, no-transform"
    assert response.headers["x-accel-buffering"] == "no"
    assert "content-encoding" not in response.headers
    assert "content-length" not in response.headers


def test_t15_models(site: Site) -> None:
    listed = site.openai.models.list().data
    assert [model.id for model in listed] == [MODEL]
    assert site.openai.models.retrieve(MODEL) == listed[0]
    assert listed[0].created > 1_600_000_000
    with pytest.raises(openai.NotFoundError) as caught:
        site.openai.models.retrieve("other/model")
    assert caught.value.code == "model_not_found"


@pytest.mark.parametrize("text", ["a", ["a", "b"], [1, 2], [[1], [2, 3]]])
@pytest.mark.parametrize("form", ["float", "base64"])
def test_t16_embeddings_of_a_model_that_makes_none(site: Site, text: Any, form: Any) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        site.openai.embeddings.create(model=MODEL, input=text, encoding_format=form)
    assert caught.value.code == "model_not_found"
    assert "no embeddings" in caught.value.message
    with pytest.raises(openai.BadRequestError):
        site.openai.embeddings.create(model=MODEL, input=[], encoding_format=form)


def test_t17_unknown_fields_are_ignored_and_counted(site: Site, client: httpx.Client) -> None:
    def counted() -> int:
        name = 'holdfast_unknown_fields_total{route="/v1/chat/completions"} '
        return sum(int(line[len(name) :]) for line in client.get("/metrics").text.splitlines() if line.startswith(name))

    before = counted()
    plain, odd = site.chat(), site.chat(extra_body={"frobnicate": 1, "wiggle": {"a": []}})
    assert odd.choices[0].message.content == plain.choices[0].message.content
    wait_until(lambda: counted() == before + 2)


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e400", '"0.7"', "[1]", "true", "{}", "9" * 400])
@pytest.mark.parametrize("member", ["temperature", "top_p", "max_tokens", "n", "seed", "presence_penalty"])
def test_t17_numbers_are_numbers(client: httpx.Client, member: str, value: str) -> None:
    body = json.dumps({**CHAT, member: "@"}).replace('"@"', value)
    response = client.post("/v1/chat/completions", content=body)
    assert response.status_code == 400
    assert set(response.json()["error"]) == {"message", "type", "param", "code"}


def test_t19_characters_beyond_ascii_survive_the_way(site: Site, client: httpx.Client) -> None:
    text = "größer 😀 \u2028 灯"
    assert (
        client.post("/v1/completions", json={"prompt": text, "max_tokens": 1, "echo": True})
        .json()["choices"][0]["text"]
        .startswith(text)
    )
    streamed = client.post("/v1/completions", json={"prompt": text, "max_tokens": 1, "echo": True, "stream": True})
    chunks = [json.loads(line[6:]) for line in streamed.content.split(b"\n") if line.startswith(b"data: {")]
    assert chunks[0]["choices"][0]["text"].startswith(text)


def _leave(site: Site, body: dict[str, Any], after: int) -> None:
    """Ask for a stream and go away after so many lines of it."""
    with site.server.client() as leaving, leaving.stream("POST", "/v1/completions", json=body) as response:
        lines = response.iter_lines()
        for _ in range(after):
            next(lines)


def test_t20_a_client_that_goes_frees_its_slot_and_disturbs_nobody(site: Site, client: httpx.Client) -> None:
    undisturbed = client.post("/v1/completions", json=LONG).json()["choices"][0]["text"]
    with ThreadPoolExecutor(16) as pool:
        watched = [pool.submit(client.post, "/v1/completions", json=LONG) for _ in range(2)]
        # In decode after a few tokens; while queued before any; in prefill, of a prompt that fills the context.
        leaving = [pool.submit(_leave, site, {**LONG, "stream": True}, 6) for _ in range(4)]
        leaving += [pool.submit(_leave, site, {**LONG, "stream": True}, 1) for _ in range(4)]
        prompt = {**LONG, "prompt": [5 + number % 300 for number in range(500)], "max_tokens": 8, "stream": True}
        leaving += [pool.submit(_leave, site, prompt, 0) for _ in range(4)]
        for future in leaving:
            future.result()
        texts = [future.result().json()["choices"][0]["text"] for future in watched]
    assert texts == [undisturbed] * 2
    wait_until(lambda: is_idle(client), 2.0)
    gone = [
        line for line in client.get("/metrics").text.splitlines() if line.startswith("holdfast_clients_gone_total{")
    ]
    assert sum(int(line.rpartition(" ")[2]) for line in gone) > 0


def test_t20_an_answer_that_is_not_streamed_ends_with_its_client_too(site: Site, client: httpx.Client) -> None:
    with site.server.client() as leaving, pytest.raises(httpx.ReadTimeout):
        leaving.post("/v1/completions", json={**LONG, "n": 8}, timeout=0.05)
    wait_until(lambda: is_idle(client), 1.0)
