# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may ask: keys, before anything else is looked at; scopes; browsers of other origins; methods and paths."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from holdfast_inference.server.keys import new_key
from holdfast_inference.server.logs import JsonLines
from holdfast_inference.server.settings import Access, Settings

from .conftest import ORIGIN
from .running import Running, running, wait_until
from .scripted_engine import ScriptedEngine

CHAT = {"model": "shop", "messages": [{"role": "user", "content": "Where?"}]}
WITHOUT_A_KEY: tuple[dict[str, str], ...] = (
    {},
    {"x-api-key": ""},
    {"Authorization": "Bearer wrong"},
    {"Authorization": "Basic wrong"},
    {"Authorization": "Basic bm86a2V5"},
)
PATHS = (
    ("POST", "/generate"),
    ("POST", "/v1/chat/completions"),
    ("POST", "/v1/completions"),
    ("POST", "/v1/embeddings"),
    ("GET", "/v1/models"),
    ("GET", "/v1/models/shop"),
    ("GET", "/v2"),
    ("GET", "/v2/models/shop"),
    ("POST", "/v2/models/shop/generate"),
    ("GET", "/metrics"),
    ("GET", "/metrics/summary"),
    ("POST", "/admin/drain"),
    ("GET", "/nothing/here"),
    ("OPTIONS", "/v1/models"),
)


@pytest.mark.parametrize(("method", "path"), PATHS)
def test_without_a_key_there_is_nothing_but_health(server: Running, method: str, path: str) -> None:
    for headers in WITHOUT_A_KEY:
        response = httpx.request(method, server.url + path, headers=headers)
        assert response.status_code == 401
        assert response.json()["error"]["code"] == "invalid_api_key"
        assert response.headers["www-authenticate"] == "Bearer"


def test_a_browser_is_asked_for_a_key_and_sees_the_page(engine: ScriptedEngine, server: Running) -> None:
    refused = httpx.get(server.url + "/status")
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"].startswith('Basic realm="')
    told = [{"node": "<b>other</b>", "state": "away"}]
    engine.neighbours = lambda: told  # type: ignore[attr-defined]
    page = httpx.get(server.url + "/status", auth=("anybody", server.key))
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    for part in ("ready", "shop", "&lt;b&gt;other&lt;/b&gt;", "0 of 1,000"):
        assert part in page.text
    assert "<b>" not in page.text


@pytest.mark.parametrize("path", ["/health/live", "/health/ready", "/v2/health/live", "/v2/health/ready"])
def test_health_needs_no_key(server: Running, path: str) -> None:
    assert httpx.get(server.url + path).status_code == 200
    assert httpx.head(server.url + path).status_code == 200


@pytest.mark.parametrize(
    "path", ["/health/live/../../v1/models", "/health/live%2f..%2f..%2fv1/models", "//health/live"]
)
def test_no_spelling_of_a_path_goes_round_the_keys(server: Running, path: str) -> None:
    with server.connect() as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        assert connection.recv(4096).startswith(b"HTTP/1.1 401")


def test_both_headers_carry_a_key(server: Running) -> None:
    for headers in ({"Authorization": f"bearer {server.key}"}, {"X-API-Key": server.key}):
        assert httpx.get(server.url + "/v1/models", headers=headers).status_code == 200


def test_a_key_is_checked_before_the_body(server: Running) -> None:
    with server.connect() as connection:
        connection.sendall(b"POST /generate HTTP/1.1\r\nHost: a\r\nContent-Length: 50000\r\n\r\n{")
        assert connection.recv(4096).startswith(b"HTTP/1.1 401")


def test_a_key_for_metrics_gets_no_answers(server: Running, client: httpx.Client) -> None:
    key, line = new_key("scraper", frozenset({"metrics"}))
    server.keys_file.write_text(server.keys_file.read_text(encoding="utf-8") + line, encoding="utf-8")
    headers = {"Authorization": f"Bearer {key}"}
    wait_until(lambda: httpx.get(server.url + "/metrics", headers=headers).status_code == 200)
    refused = httpx.post(server.url + "/v1/chat/completions", headers=headers, json=CHAT)
    assert (refused.status_code, refused.json()["error"]["type"]) == (403, "permission_error")
    assert client.get("/metrics").status_code == 200


def test_a_wrong_method_says_which_are_right(client: httpx.Client) -> None:
    response = client.get("/v1/chat/completions")
    assert (response.status_code, response.headers["allow"]) == (405, "POST")
    assert response.json()["error"]["code"] == "method_not_allowed"
    assert set(client.delete("/v1/models").headers["allow"].split(", ")) == {"GET", "HEAD"}


def test_a_path_that_is_not_there(client: httpx.Client) -> None:
    response = client.post("/v1/chat", json=CHAT)
    assert (response.status_code, response.json()["error"]["code"]) == (404, "not_found")


def test_a_slash_at_the_end_changes_nothing(client: httpx.Client) -> None:
    assert client.get("/v1/models/").json() == client.get("/v1/models").json()
    assert client.post("/v1/chat/completions/", json=CHAT).status_code == 200


def test_head_has_no_body(client: httpx.Client) -> None:
    response = client.head("/v1/models")
    assert (response.status_code, response.content) == (200, b"")


def test_pages_of_a_known_origin_may_ask(server: Running, client: httpx.Client) -> None:
    asked = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}
    preflight = httpx.options(server.url + "/v1/chat/completions", headers=asked)
    assert (preflight.status_code, preflight.headers["access-control-allow-origin"]) == (204, ORIGIN)
    allowed = {name.strip().lower() for name in preflight.headers["access-control-allow-headers"].split(",")}
    assert {"authorization", "last-event-id", "idempotency-key", "x-holdfast-event-ids"} <= allowed
    answer = client.post("/v1/chat/completions", json=CHAT, headers={"Origin": ORIGIN})
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, ORIGIN)
    refused = httpx.post(server.url + "/v1/chat/completions", json=CHAT, headers={"Origin": ORIGIN})
    assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, ORIGIN)


def test_pages_of_other_origins_learn_nothing(server: Running, client: httpx.Client) -> None:
    other = {"Origin": "https://other.example", "Access-Control-Request-Method": "POST"}
    assert httpx.options(server.url + "/v1/models", headers=other).status_code == 401
    answer = client.get("/v1/models", headers={"Origin": "https://other.example"})
    assert "access-control-allow-origin" not in answer.headers


def test_logs_tell_the_request_and_not_what_it_said(
    engine: ScriptedEngine, client: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    engine.script.text = "SECRET-ANSWER"
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    body = {"messages": [{"role": "user", "content": "SECRET-PROMPT"}], "frobnicate": "SECRET-FIELD"}
    headers = {"traceparent": trace, "x-request-id": "mine-1"}
    response = client.post("/v1/chat/completions", json=body, headers=headers)
    assert response.headers["x-request-id"] == "mine-1"
    assert response.headers["traceresponse"].split("-")[1] == trace.split("-")[1]
    client.post("/v1/chat/completions", content=b'{"a": SECRET')
    lines = "\n".join(JsonLines().format(record) for record in caplog.records if record.name.startswith("holdfast"))
    assert "SECRET" not in lines
    assert '"request_id": "mine-1"' in lines
    assert '"trace_id": "0af7651916cd43dd8448eb211c80319c"' in lines
    assert '"unknown_fields": 1' in lines
    assert client.get("/metrics").text.count('holdfast_unknown_fields_total{route="/v1/chat/completions"} 1') == 1


def test_prompts_are_logged_where_an_operator_asked_for_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")

    def settings(access: Access) -> Settings:
        return Settings(port=0, access=access, drain_seconds=0.1, log_prompts=True)

    with running(tmp_path, ScriptedEngine, settings) as server, server.client() as client:
        wait_until(lambda: client.get("/health/ready").status_code == 200)
        client.post("/v1/completions", json={"prompt": ["one", "two"], "n": 2}, headers={"x-request-id": "mine-2"})
    told = [vars(record) for record in caplog.records if record.getMessage() == "prompts"]
    assert [(record["request_id"], record["prompts"]) for record in told] == [("mine-2", ["one", "two"])]
