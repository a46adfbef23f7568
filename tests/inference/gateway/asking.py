# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions of all kinds, asked by clients of all kinds, and how their answers are compared."""

from __future__ import annotations

import json
import socket
from typing import Any

import httpx
import openai

from .real_nodes import MODEL, Site

TOKENS = 250
SCHEMA = {"type": "array", "items": {"enum": ["lamp", "chair", "table", 12]}, "minItems": 60, "maxItems": 60}
KINDS: dict[str, dict[str, Any]] = {
    "greedy": {"temperature": 0},
    "seeded": {"temperature": 1, "seed": 7},
    "penalised": {"temperature": 0.9, "seed": 3, "frequency_penalty": 0.8, "presence_penalty": 0.4},
    "two": {"temperature": 1, "seed": 11, "n": 2},
    "stopped": {"temperature": 1, "seed": 7, "stop": ["never to be drawn, this one"]},
    "schema": {
        "temperature": 0,
        "ignore_eos": False,
        "response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": SCHEMA}},
    },
}

Told = tuple[tuple[str, str], ...]
"""The text and finish_reason of each choice."""


def body(kind: str = "greedy", number: int = 0, **members: Any) -> dict[str, Any]:
    content = f"Question {number} ({kind})"
    asked = {"model": MODEL, "max_tokens": TOKENS, "ignore_eos": True, **KINDS[kind]}
    return {**asked, "messages": [{"role": "user", "content": content}], **members}


def whole(client: httpx.Client, asked: dict[str, Any]) -> Told:
    """Not streamed."""
    response = client.post("/v1/chat/completions", json=asked)
    assert response.status_code == 200, response.text
    return tuple((choice["message"]["content"], choice["finish_reason"]) for choice in response.json()["choices"])


def of_chunks(chunks: list[dict[str, Any]]) -> Told:
    """A stream put together; exactly one finish_reason for each choice, and nothing after it."""
    texts: dict[int, str] = {}
    reasons: dict[int, str] = {}
    for chunk in chunks:
        assert "error" not in chunk, chunk
        for choice in chunk["choices"]:
            assert choice["index"] not in reasons
            texts[choice["index"]] = texts.get(choice["index"], "") + (choice["delta"].get("content") or "")
            if choice["finish_reason"]:
                reasons[choice["index"]] = choice["finish_reason"]
    return tuple((texts[index], reasons[index]) for index in sorted(texts))


def streamed(client: httpx.Client, asked: dict[str, Any]) -> Told:
    with client.stream("POST", "/v1/chat/completions", json={**asked, "stream": True}) as response:
        lines = [line for line in response.iter_lines() if line.startswith("data: ")]
    assert lines[-1] == "data: [DONE]", lines[-1]
    return of_chunks([json.loads(line[6:]) for line in lines[:-1]])


def by_openai(site: Site, asked: dict[str, Any]) -> Told:
    """With OpenAI's own client, which must not repeat anything."""
    members = dict(asked)
    extra = {"ignore_eos": members.pop("ignore_eos")}
    with openai.OpenAI(base_url=f"{site.url()}/v1", api_key=site.client_key, max_retries=0, timeout=120) as asking:
        stream = asking.chat.completions.create(**members, stream=True, extra_body=extra)
        return of_chunks([chunk.model_dump() for chunk in stream])


def by_socket(site: Site, asked: dict[str, Any]) -> Told:
    """With a bare socket, to see every byte: one response, and nothing but events in it."""
    sent = json.dumps({**asked, "stream": True}).encode()
    head = (
        f"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nx-api-key: {site.client_key}\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(sent)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", site.ports["gateway"]), timeout=120) as connection:
        connection.sendall(head.encode() + sent)
        received = b"".join(iter(lambda: connection.recv(65536), b""))
    begin, _, rest = received.partition(b"\r\n\r\n")
    assert begin.startswith(b"HTTP/1.1 200") and received.count(b"HTTP/1.1") == 1
    content = _dechunked(rest).decode()
    events = [event for event in content.split("\n\n") if event]
    assert events[-1] == "data: [DONE]", events[-1]
    lines = [line for event in events[:-1] for line in event.split("\n") if line != ": ping"]
    assert all(line.startswith("data: {") for line in lines)
    return of_chunks([json.loads(line[6:]) for line in lines])


def _dechunked(rest: bytes) -> bytes:
    parts: list[bytes] = []
    while True:
        size, _, rest = rest.partition(b"\r\n")
        if int(size, 16) == 0:
            assert rest == b"\r\n", "the body has its mark of completeness"
            return b"".join(parts)
        parts.append(rest[: int(size, 16)])
        rest = rest[int(size, 16) + 2 :]


def difference(asked: dict[str, Any], wanted: Told, found: Told) -> str:
    """Where two answers part, in one line; nothing where they are equal."""
    for choice, (one, other) in enumerate(zip(wanted, found, strict=True)):
        if one != other:
            at = next((at for at, (a, b) in enumerate(zip(one[0], other[0], strict=False)) if a != b), None)
            end = min(len(one[0]), len(other[0])) if at is None else at
            content, place = asked["messages"][0]["content"], slice(max(0, end - 20), end + 20)
            return f"{content}, choice {choice}, at {end}: {one[0][place]!r} {one[1]} != {other[0][place]!r} {other[1]}"
    return ""
