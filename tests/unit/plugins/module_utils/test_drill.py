# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The clients of a drill notice what careful clients would, and the report says what they noticed."""

from __future__ import annotations

import http.server
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.holdfast.edge.plugins.module_utils._drill.client import Client
from ansible_collections.holdfast.edge.plugins.module_utils._drill.load import (
    Load,
    LoadError,
    Record,
    ask_until,
    right_answers,
)
from ansible_collections.holdfast.edge.plugins.module_utils._drill.questions import KINDS, Question, questions
from ansible_collections.holdfast.edge.plugins.module_utils._drill.report import percentile, report, screen

Handler = Callable[[http.server.BaseHTTPRequestHandler, int], None]


@contextmanager
def served(answer: Handler) -> Iterator[tuple[str, list[dict[str, str]]]]:
    """An HTTP server whose answers are given by the number of the request, and the headers of all requests."""
    seen: list[dict[str, str]] = []

    class Requests(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            seen.append(dict(self.headers))
            answer(self, len(seen))

        def log_message(self, *_args: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Requests)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", seen
    finally:
        server.shutdown()
        server.server_close()


def send(handler: http.server.BaseHTTPRequestHandler, body: str, status: int = 200, **headers: str) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Length", str(len(body.encode())))
    handler.end_headers()
    handler.wfile.write(body.encode())


def plain(text: str) -> str:
    return json.dumps({"choices": [{"index": 0, "message": {"content": text}, "finish_reason": "stop"}]})


def event(number: int, text: str, reason: str | None = None) -> str:
    chunk = {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": reason}]}
    return f"id: {number}\ndata: {json.dumps(chunk)}\n\n"


def ask(url: str, stream: bool = False, silence: float = 5.0, patience: float = 10.0) -> Any:
    [question] = [one for one in questions("m", ["Where?"], 8) if one.kind == "greedy" and one.stream == stream]
    return Client(url, "key", "", silence, patience).ask(question, "name", time.time())


def test_an_answer_is_taken_whole_and_the_connection_is_used_again() -> None:
    ports = set()

    def answer(handler: http.server.BaseHTTPRequestHandler, number: int) -> None:
        ports.add(handler.client_address[1])
        send(handler, event(1, "here", "stop") + "data: [DONE]\n\n" if number % 2 else plain("here"))

    with served(answer) as (url, seen):
        client = Client(url, "key", "", 5, 10)
        both = [one for one in questions("m", ["Where?"], 8) if one.kind == "greedy"]
        told = [client.ask(one, "name", time.time()) for one in (both[1], both[0], both[1], both[0])]
    assert [one.told for one in told] == [(("here", "stop"),)] * 4
    assert [one.tries for one in told] == [1] * 4
    assert len(ports) == 1
    assert seen[0]["Authorization"] == "Bearer key" and seen[0]["Idempotency-Key"] == "name"


def test_a_stream_that_breaks_goes_on_behind_the_last_event() -> None:
    def answer(handler: http.server.BaseHTTPRequestHandler, number: int) -> None:
        if number == 1:
            send(handler, event(1, "one "))
        else:
            time.sleep(0.3)
            send(handler, event(2, "two", "length") + "data: [DONE]\n\n")

    with served(answer) as (url, seen):
        told = ask(url, stream=True)
    assert (told.told, told.tries, told.error) == ((("one two", "length"),), 2, "")
    assert "Last-Event-ID" not in seen[0] and seen[1]["Last-Event-ID"] == "1"
    assert told.pause >= 0.3
    assert told.last_error == "a connection that was closed"


def test_silence_and_refusals_are_reasons_to_ask_again() -> None:
    def answer(handler: http.server.BaseHTTPRequestHandler, number: int) -> None:
        if number == 1:
            time.sleep(0.6)
            handler.close_connection = True
        elif number == 2:
            send(handler, "full", 429, Retry_After="0.2")
        else:
            send(handler, plain("at last"))

    with served(answer) as (url, seen):
        told = ask(url, silence=0.3)
        patient = ask(url.rpartition(":")[0] + ":1", patience=0.3)
    assert patient.error == "a refused connection"
    assert (told.told, told.tries) == ((("at last", "stop"),), 3)
    assert "429" in told.last_error and told.seconds >= 0.5
    assert len(seen) == 3


@pytest.mark.parametrize(
    ("body", "status", "stream", "said"),
    [
        ("broken", 500, False, "HTTP 500: broken"),
        ("unknown model", 404, False, "HTTP 404"),
        ('{"choices": [', 200, False, "makes no sense"),
        ('{"choices": 1}', 200, False, "makes no sense"),
        (event(1, "a", "stop") + event(2, "b", "stop"), 200, True, "went on after its end"),
    ],
)
def test_what_no_repetition_makes_right_fails_at_once(body: str, status: int, stream: bool, said: str) -> None:
    with served(lambda handler, _number: send(handler, body, status)) as (url, seen):
        told = ask(url, stream)
    assert said in told.error and len(seen) == 1


def test_patience_ends() -> None:
    with served(lambda handler, _number: send(handler, "away", 503, Retry_After="0.1")) as (url, _seen):
        told = ask(url, patience=0.5)
    assert "503" in told.error and 0.3 < told.seconds < 3


def test_a_load_keeps_its_rate_and_its_record_tells_right_from_wrong(tmp_path: Path) -> None:
    wrong_from = 2 * len(KINDS) + 3

    def answer(handler: http.server.BaseHTTPRequestHandler, number: int) -> None:
        text = "lost" if number == wrong_from else "here"
        streamed = "[DONE]" if number % 2 == 0 else ""
        send(handler, event(1, text, "stop") + f"data: {streamed}\n\n" if streamed else plain(text))

    with served(answer) as (url, seen):
        client = Client(url, "key", "", 5, 10)
        asked = questions("m", ["Where?"], 8)
        right = right_answers(client, asked)
        assert set(right.values()) == {(("here", "stop"),)}
        record = Record(tmp_path / "answers", right)
        begun = time.time()
        # One client, so that the server can tell from the number what is asked.
        count = ask_until(client, asked, Load(50, 1), lambda: time.time() > begun + 0.5, record.take)
        record.close()
    lines = [json.loads(line) for line in (tmp_path / "answers").read_text(encoding="utf-8").splitlines()]
    assert len(lines) == count == len(seen) - len(asked)
    assert 15 <= count <= 30
    assert [number for number, line in enumerate(lines) if line["wrong"]] == [2]
    assert lines[2]["told"] == [["lost", "stop"]]


def test_a_service_that_answers_in_two_ways_is_no_measure() -> None:
    def answer(handler: http.server.BaseHTTPRequestHandler, number: int) -> None:
        send(handler, plain("here") if number == 1 else event(1, "there", "stop") + "data: [DONE]\n\n")

    with served(answer) as (url, _seen), pytest.raises(LoadError, match="answered in two ways"):
        right_answers(Client(url, "key", "", 5, 10), questions("m", ["Where?"], 8))


def line(begun: float, seconds: float, **other: Any) -> dict[str, Any]:
    told = {"kind": "short", "stream": True, "pause": 0.0, "tries": 1, "error": "", "last_error": "", "wrong": False}
    return {**told, "begun": begun, "seconds": seconds, **other}


def test_a_request_belongs_to_the_faults_that_it_lived_through() -> None:
    lines = [
        line(0, 0.05),
        line(9.9, 0.2, tries=2, last_error="cut"),
        line(12, 1.0, pause=0.7),
        line(20, 0.08),
        line(31, 30, error="timed out"),
        line(40, 0.06, wrong=True, told=[["a", "stop"]], right=[["b", "stop"]]),
    ]
    faults = [
        {"node": "n1", "kind": "kill", "begun": 10.0, "ended": 15.5},
        {"node": "n2", "kind": "cut", "begun": 30.0, "ended": 45.0},
    ]
    told = report(lines, faults, 100)
    assert [(part["asked"], part["failed"], part["wrong"], part["asked_again"]) for part in told["faults"]] == [
        (2, 0, 0, 1),
        (2, 1, 1, 0),
    ]
    assert told["faults"][0]["whole_again_s"] == 5.5
    assert (told["faults"][0]["longest_ms"], told["faults"][0]["longest_pause_ms"]) == (1000.0, 700.0)
    assert (told["before"]["asked"], told["before"]["short_p99_ms"]) == (1, 50.0)
    assert (told["between"]["asked"], told["between"]["short_p99_ms"]) == (1, 80.0)
    assert list(told["promises"].values()) == [False, False, True] and not told["kept"]
    shown = "\n".join(screen(told))
    assert "kill n1" in shown and "asked again, most often after cut: kill n1" in shown
    assert "timed out" in shown and "BROKEN  every request was answered" in shown
    assert report(lines[:1], [], 100)["kept"]
    assert not report(lines[:1], [{"node": "n1", "kind": "cut", "begun": 10.0, "ended": 15.0}], 100)["kept"]
    assert not report([], [], 100)["kept"]


@pytest.mark.parametrize(("share", "wanted"), [(0.5, 2), (0.99, 4), (0.75, 3), (0.0, 1)])
def test_percentiles(share: float, wanted: float) -> None:
    assert percentile([4, 1, 3, 2], share) == wanted


def test_each_kind_is_asked_both_ways() -> None:
    asked: list[Question] = questions("m", ["a", "b"], 8)
    assert len(asked) == 2 * 2 * len(KINDS) == len({(one.name, one.stream) for one in asked})
    bodies = [json.loads(one.body) for one in asked]
    assert all(body["model"] == "m" and body["stream"] == one.stream for body, one in zip(bodies, asked))
    assert {body["max_tokens"] for body, one in zip(bodies, asked) if one.kind != "short"} == {8}
