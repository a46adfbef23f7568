# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bodies are bounded in bytes, time and depth, and JSON is what its standard says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence

import pytest
from holdfast_inference.server.body import ClientGone, is_deeper, parse, read_body
from holdfast_inference.server.errors import ApiError
from holdfast_inference.server.settings import Limits
from starlette.requests import Request
from starlette.types import Message


def code_of(body: bytes, depth: int = 64) -> str:
    with pytest.raises(ApiError) as caught:
        parse(body, depth)
    assert caught.value.status == 400
    return caught.value.code


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"{'a': 1}",
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": -Infinity}',
        b'{"a": 1e400}',
        b'{"a": -1e400}',
        b'{"a": "\\ud83d"}',
        b'{"\\udc00": 1}',
        b'{"a": "\xff"}',
        b'{"a": "\xed\xa0\x80"}',
        b'{"a": ' + b"9" * 5000 + b"}",
    ],
)
def test_what_is_no_json_is_refused(body: bytes) -> None:
    assert code_of(body) == "invalid_json"


def test_a_pair_of_surrogates_is_one_character() -> None:
    assert parse(b'{"a": "\\ud83d\\ude00"}', 4) == {"a": "\U0001f600"}


def test_depth_is_counted_in_containers() -> None:
    assert parse(b'{"a": [[1]]}', 3) == {"a": [[1]]}
    assert code_of(b'{"a": [[[1]]]}', 3) == "too_deep"
    assert not is_deeper([1, {}], 2)
    assert is_deeper([1, {}], 1)


def test_depth_beyond_the_interpreter_is_refused_and_no_crash() -> None:
    assert code_of(b"[" * 200_000 + b"]" * 200_000) == "too_deep"
    assert code_of(b'{"a":' * 5000 + b"1" + b"}" * 5000) == "too_deep"


def request_of(messages: Sequence[Message], **headers: str) -> Request:
    left = list(messages)

    async def receive() -> Message:
        if not left:
            await asyncio.Event().wait()
        return left.pop(0)

    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "POST", "path": "/", "headers": raw}, receive)


def part(body: bytes, *, more: bool) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


def test_characters_may_be_cut_between_parts() -> None:
    body = json.dumps({"a": "größer"}, ensure_ascii=False).encode()
    request = request_of([part(bytes([byte]), more=True) for byte in body] + [part(b"", more=False)])
    assert asyncio.run(read_body(request, Limits())) == {"a": "größer"}


def refused(request: Request, limits: Limits) -> ApiError:
    with pytest.raises(ApiError) as caught:
        asyncio.run(read_body(request, limits))
    return caught.value


def test_a_declared_length_is_refused_before_anything_is_read() -> None:
    error = refused(request_of([], content_length="11"), Limits(body_bytes=10))
    assert (error.status, error.code) == (413, "body_too_large")


def test_an_undeclared_length_is_refused_as_soon_as_it_is_over() -> None:
    error = refused(request_of([part(b"123456", more=True), part(b"123456", more=True)]), Limits(body_bytes=10))
    assert (error.status, error.code) == (413, "body_too_large")


def test_a_body_that_never_ends_is_given_up() -> None:
    error = refused(request_of([part(b"{", more=True)]), Limits(body_seconds=0.05))
    assert (error.status, error.code) == (408, "body_timeout")


def test_a_client_that_goes_while_it_sends_is_gone() -> None:
    with pytest.raises(ClientGone):
        asyncio.run(read_body(request_of([part(b"{", more=True), {"type": "http.disconnect"}]), Limits()))


def test_compressed_bodies_are_refused() -> None:
    assert refused(request_of([], content_encoding="gzip"), Limits()).status == 415
