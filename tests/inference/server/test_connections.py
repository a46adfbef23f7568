# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bare connections: what no client library sends, and what slow or malicious ones do."""

from __future__ import annotations

import contextlib
import gc
import json
import re
import socket
import struct
import time

import httpx
import pytest

from .running import Running, wait_until
from .scripted_engine import Script, ScriptedEngine

CHAT = {"model": "shop", "messages": [{"role": "user", "content": "größer 😀?"}]}


def head(server: Running, *lines: str, path: str = "/v1/chat/completions") -> bytes:
    begin = (
        f"POST {path} HTTP/1.1",
        "Host: a",
        f"Authorization: Bearer {server.key}",
        "Content-Type: application/json",
    )
    return "\r\n".join((*begin, *lines, "", "")).encode()


def read_all(connection: socket.socket) -> bytes:
    received = b""
    while part := connection.recv(65536):
        received += part
    return received


def test_a_body_in_chunks_cut_within_characters(engine: ScriptedEngine, server: Running) -> None:
    body = json.dumps(CHAT, ensure_ascii=False).encode()
    with server.connect() as connection:
        connection.sendall(head(server, "Transfer-Encoding: chunked", "Connection: close"))
        for byte in body:
            connection.sendall(b"1\r\n" + bytes([byte]) + b"\r\n")
        connection.sendall(b"0\r\n\r\n")
        assert read_all(connection).startswith(b"HTTP/1.1 200")
    assert "größer 😀?" in "".join(map(chr, engine.answers[0].request.prompt_ids))


def test_expect_100_continue(server: Running) -> None:
    body = json.dumps(CHAT).encode()
    with server.connect() as connection:
        connection.sendall(head(server, "Expect: 100-continue", f"Content-Length: {len(body)}", "Connection: close"))
        assert connection.recv(4096).startswith(b"HTTP/1.1 100")
        connection.sendall(body)
        assert read_all(connection).startswith(b"HTTP/1.1 200")


def test_a_body_that_is_too_large_is_never_asked_for(server: Running) -> None:
    with server.connect() as connection:
        connection.sendall(head(server, "Expect: 100-continue", "Content-Length: 100000000"))
        received = read_all(connection)
    assert received.startswith(b"HTTP/1.1 413")
    assert b'"code":"body_too_large"' in received


@pytest.mark.parametrize("declared", [True, False])
def test_a_client_that_sends_ten_megabytes_learns_why_it_is_refused(server: Running, declared: bool) -> None:
    body = b'{"messages": "' + b"x" * 10_000_000 + b'"}'
    content = body if declared else iter([body[place : place + 65536] for place in range(0, len(body), 65536)])
    with server.client() as client:
        response = client.post("/v1/chat/completions", content=content)
    assert (response.status_code, response.json()["error"]["code"]) == (413, "body_too_large")


def test_a_body_that_stops_halfway_is_given_up(server: Running) -> None:
    with server.connect() as connection:
        connection.sendall(head(server, "Content-Length: 100") + b'{"mess')
        received = read_all(connection)
    assert received.startswith(b"HTTP/1.1 408")
    assert b'"code":"body_timeout"' in received


def test_a_connection_that_asks_nothing_is_closed(server: Running) -> None:
    begun = time.monotonic()
    with server.connect() as silent, server.connect() as slow:
        slow.sendall(b"GET /health/li")
        assert silent.recv(1) == b""
        assert slow.recv(1) == b""
    assert time.monotonic() - begun < 5


def test_a_second_request_that_never_gets_whole_is_closed_too(server: Running) -> None:
    whole = b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n"
    with server.connect() as connection:
        connection.sendall(whole)
        assert read_one(connection).startswith(b"HTTP/1.1 200")
        time.sleep(0.7)
        connection.sendall(whole[:20])
        time.sleep(0.2)
        connection.sendall(whole[20:])
        assert read_one(connection).startswith(b"HTTP/1.1 200")
        begun = time.monotonic()
        for byte in whole[:-2]:
            try:
                connection.sendall(bytes([byte]))
            except OSError:
                break
            time.sleep(0.05)
        else:
            raise AssertionError("the server waits as long as the client likes")
        assert time.monotonic() - begun < 1.9


@pytest.mark.parametrize("sent", [b"rubbish\r\n\r\n", b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n\r\n"])
def test_what_is_no_http_gets_an_error_in_our_shape(server: Running, sent: bytes) -> None:
    with server.connect() as connection:
        connection.sendall(sent)
        received = read_all(connection)
    assert received.startswith(b"HTTP/1.1 400")
    assert json.loads(received.partition(b"\r\n\r\n")[2])["error"]["code"] == "invalid_http"


def read_one(connection: socket.socket) -> bytes:
    """One response that has a length."""
    received = b""
    while True:
        received += connection.recv(65536)
        found = re.search(rb"content-length: (\d+)\r\n.*?\r\n\r\n", received, re.DOTALL)
        if found and len(received) >= found.end() + int(found[1]):
            return received


def test_many_requests_share_a_connection_also_after_errors(server: Running) -> None:
    with server.connect() as connection:
        for body, status in ((b"{", 400), (json.dumps(CHAT).encode(), 200)) * 2:
            connection.sendall(head(server, f"Content-Length: {len(body)}") + body)
            assert read_one(connection).startswith(f"HTTP/1.1 {status}".encode())


def test_a_thousand_idle_sockets_stall_nobody(engine: ScriptedEngine, server: Running, client: httpx.Client) -> None:
    request = b"GET /health/live HTTP/1.1\r\nHost: a\r\n\r\n"
    idle = [server.connect() for _ in range(1000)]
    try:
        for connection in idle:
            connection.sendall(request)
        for connection in idle:
            assert read_one(connection).startswith(b"HTTP/1.1 200")
        begun = time.monotonic()
        assert client.post("/v1/chat/completions", json=CHAT).status_code == 200
        assert time.monotonic() - begun < 1.0
        # Kept alive, beyond the time in which a connection must begin to ask.
        time.sleep(1.0)
        idle[0].sendall(request)
        assert read_one(idle[0]).startswith(b"HTTP/1.1 200")
    finally:
        for connection in idle:
            connection.close()


def test_a_second_request_that_comes_early_waits_its_turn(engine: ScriptedEngine, server: Running) -> None:
    engine.script = Script(before=0.2)
    body = json.dumps(CHAT).encode()
    with server.connect() as connection:
        connection.sendall((head(server, f"Content-Length: {len(body)}") + body) * 2)
        assert read_one(connection).startswith(b"HTTP/1.1 200")
        assert read_one(connection).startswith(b"HTTP/1.1 200")
    assert len(engine.answers) == 2


def test_nothing_stays_of_connections_that_were_reset(server: Running) -> None:
    def kept() -> int:
        gc.collect()
        return sum(type(found).__qualname__ == "connection_class.<locals>.Connection" for found in gc.get_objects())

    before = kept()
    for _ in range(20):
        with server.connect() as connection:
            connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
            assert connection.recv(4096).startswith(b"HTTP/1.1 200")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    # Not by wait_until: to look through all objects takes longer than its steps.
    for _ in range(10):
        time.sleep(0.2)
        if kept() <= before:
            return
    raise AssertionError(f"{kept()} connections are kept, and {before} were before")


def test_a_whole_answer_that_nobody_reads_is_not_kept_for_ever(engine: ScriptedEngine, server: Running) -> None:
    engine.script = Script(text="x" * 500)
    # Each token carries its log probabilities, so that the answer is larger than all buffers of the kernel.
    asked = {**CHAT, "max_tokens": 400, "n": 8, "logprobs": True, "top_logprobs": 20}
    body = json.dumps(asked).encode()
    with server.connect() as connection, server.client() as client:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        connection.sendall(head(server, f"Content-Length: {len(body)}", "Connection: close") + body)
        done = 'holdfast_answers_total{model="shop",reason="length"} 8'
        wait_until(lambda: done in client.get("/metrics").text)
        time.sleep(3.0)
        received = b""
        with contextlib.suppress(ConnectionResetError):
            while part := connection.recv(65536):
                received += part
    found = re.search(rb"content-length: (\d+)", received)
    assert found is not None
    assert len(received) < int(found[1])
