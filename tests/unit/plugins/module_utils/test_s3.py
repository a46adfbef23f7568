# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Requests are signed as AWS says, and what a store refuses or drops becomes a sentence or another try."""

from __future__ import annotations

import hashlib
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from ansible_collections.holdfast.edge.plugins.module_utils._s3.client import Bucket, parts_of
from ansible_collections.holdfast.edge.plugins.module_utils._s3.errors import (
    StoreError,
    StoreUnreachableError,
    refusal,
)
from ansible_collections.holdfast.edge.plugins.module_utils._s3.signing import (
    NOTHING_SHA256,
    Keys,
    authorization,
    quoted_path,
)
from ansible_collections.holdfast.edge.plugins.module_utils._s3.transport import Transport

# The examples of "Signature Calculations for the Authorization Header" in the API reference of Amazon S3.
KEYS = Keys("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
STAMP = "20130524T000000Z"
HOST = {"host": "examplebucket.s3.amazonaws.com", "x-amz-date": STAMP}
WELCOME = hashlib.sha256(b"Welcome to Amazon S3.").hexdigest()


@pytest.mark.parametrize(
    ("method", "path", "query", "headers", "payload", "signature"),
    [
        (
            *("GET", "/test.txt", [], {"range": "bytes=0-9"}, NOTHING_SHA256),
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        ),
        (
            *("PUT", "/test$file.text", []),
            {"date": "Fri, 24 May 2013 00:00:00 GMT", "x-amz-storage-class": "REDUCED_REDUNDANCY"},
            WELCOME,
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
        ),
        (
            *("GET", "/", [("lifecycle", "")], {}, NOTHING_SHA256),
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
        ),
        (
            *("GET", "/", [("prefix", "J"), ("max-keys", "2")], {}, NOTHING_SHA256),
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        ),
    ],
    ids=["a part of an object", "an object", "a setting of the bucket", "a list"],
)
def test_a_request_is_signed_as_in_the_examples_of_amazon(
    method: str, path: str, query: list[tuple[str, str]], headers: dict[str, str], payload: str, signature: str
) -> None:
    signed = {**HOST, **headers, "x-amz-content-sha256": payload}
    given = authorization(KEYS, method, path, query, signed, payload, STAMP)
    assert given.startswith(
        "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request,SignedHeaders="
    )
    assert given.endswith(f",Signature={signature}")


def test_a_secret_key_is_not_shown() -> None:
    assert "wJalr" not in repr(KEYS)


def test_a_path_is_quoted_byte_by_byte() -> None:
    assert quoted_path("/käse a+b/(1)~") == "/k%C3%A4se%20a%2Bb/%281%29~"


def test_a_large_file_has_no_more_parts_than_a_store_takes() -> None:
    assert parts_of(10, 4) == [(0, 4), (4, 4), (8, 2)]
    parts = parts_of(10**12, 5 << 20)
    assert len(parts) <= 10_000
    assert sum(length for _start, length in parts) == 10**12


@pytest.mark.parametrize(
    ("status", "code", "sentence"),
    [
        (403, "SignatureDoesNotMatch", "the secret key does not fit the access key AK"),
        (403, "InvalidAccessKeyId", "it does not know the access key AK"),
        (404, "NoSuchBucket", "has no bucket backups"),
        (403, "AccessDenied", "the access key AK may not do that in the bucket backups"),
        (400, "AuthorizationHeaderMalformed", "Give the right region"),
        (301, "PermanentRedirect", "sends GET backups elsewhere"),
    ],
)
def test_a_refusal_says_what_to_put_right(status: int, code: str, sentence: str) -> None:
    error = refusal(status, code, {}, where="http://s3", bucket="backups", access_key="AK", doing="GET backups")
    assert sentence in str(error)


def test_a_clock_that_is_wrong_is_told_with_how_far() -> None:
    answered = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() - 3600))
    error = refusal(
        403, "RequestTimeTooSkewed", {"date": answered}, where="http://s3", bucket="b", access_key="AK", doing="PUT b/x"
    )
    assert re.search(r"this machine's clock is 3(59|60)\d s ahead of the store's", str(error))


class Store(BaseHTTPRequestHandler):
    """Does what the test says; a real store is asked in tests/integration/test_backup_restore.py."""

    behave: Callable[[Store], None]
    protocol_version = "HTTP/1.1"

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in {"content-length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        type(self).behave(self)

    def do_PUT(self) -> None:
        self.do_GET()

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def store(behave: Callable[[Store], None]) -> Iterator[Transport]:
    handler = type("Handler", (Store,), {"behave": staticmethod(behave)})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        endpoint = f"http://127.0.0.1:{server.server_port}"
        yield Transport(endpoint, "backups", Keys("AK", "secret"), timeout=2, sleep=lambda _: None)
    finally:
        server.shutdown()
        server.server_close()


def test_a_store_that_stumbles_is_asked_again() -> None:
    answers = [503, 500, 200]
    with store(lambda request: request.answer(answers.pop(0))) as transport:
        assert transport.ask("GET", "").status == 200
    assert answers == []


def test_a_store_that_goes_on_stumbling_is_unreachable() -> None:
    with (
        store(lambda request: request.answer(503, b"<Error><Code>SlowDown</Code></Error>")) as transport,
        pytest.raises(
            StoreUnreachableError,
            match=r"could not be reached for GET backups in 4 tries: it answered 503 \(SlowDown\)",
        ),
    ):
        transport.ask("GET", "")


def test_a_slow_line_is_no_dead_one() -> None:
    """The deadline is for a line that carries nothing, however long it takes to carry all."""
    body = bytes(24 << 20)
    asked: list[int] = []

    def behave(request: Store) -> None:
        got = 0
        while got < len(body) and (piece := request.rfile.read(1 << 20)):
            got += len(piece)
            time.sleep(0.1)
        asked.append(got)
        request.answer(200)

    with store(behave) as transport:
        assert replace(transport, timeout=0.8).ask("PUT", "x", body=body).status == 200
    assert asked == [len(body)]


def test_an_object_goes_on_from_where_its_connection_broke(tmp_path: Path) -> None:
    content = bytes(range(256)) * 64
    asked: list[str] = []

    def behave(request: Store) -> None:
        start = int((request.headers.get("range") or "bytes=0-").split("=")[1].rstrip("-"))
        asked.append(request.headers.get("range") or "")
        rest = content[start:]
        request.send_response(206 if start else 200)
        request.send_header("content-length", str(len(rest)))
        request.send_header("etag", '"one"')
        request.end_headers()
        # The first two answers break off.
        request.wfile.write(rest if len(asked) > 2 else rest[: len(rest) // 2])
        request.close_connection = True

    with store(behave) as transport:
        digest = Bucket(transport).get("x", tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == content
    assert digest == hashlib.sha256(content).hexdigest()
    assert asked[0] == ""
    assert asked[1:] == ["bytes=8192-", "bytes=12288-"]
    assert (tmp_path / "x").stat().st_mode & 0o777 == 0o600


def test_a_store_that_keeps_less_than_it_was_given_is_found_out(tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.write_bytes(b"all of it")

    def behave(request: Store) -> None:
        request.rfile.read(int(request.headers.get("content-length") or 0))
        request.answer(200)

    with store(behave) as transport, pytest.raises(StoreError, match="has 0 of its 9 bytes"):
        Bucket(transport).put("x", file, "0" * 64)


def test_an_answer_that_is_not_of_a_store_is_no_crash() -> None:
    with (
        store(lambda request: request.answer(200, b"<!DOCTYPE html><html>")) as transport,
        pytest.raises(StoreError, match="Is that the endpoint of a store"),
    ):
        Bucket(transport).list()


@pytest.mark.parametrize("endpoint", ["s3.example.net", "ftp://x", "https://u:p@x", ""])
def test_an_endpoint_that_is_none_is_refused(endpoint: str) -> None:
    with pytest.raises(StoreError, match="give it as https://host"):
        Transport.of({"endpoint": endpoint, "bucket": "b", "access_key": "a", "secret_key": "s"})
