# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A download gets through a bad line, takes up where it stopped, and refuses what is not the pinned file."""

from __future__ import annotations

import hashlib
import http.client
import io
import socket
import struct
import threading
import time
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.download import Download, Patience
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.errors import BundleError, StoppedError
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.exchange import Redirects, mirrored, size_of

CONTENT = bytes(range(256)) * 4000
SHA256 = hashlib.sha256(CONTENT).hexdigest()
HALF = len(CONTENT) // 2
QUICK = Patience(timeout=2, deadline=20, first_pause=0.01, tries_without_progress=3)


class Server(ThreadingHTTPServer):
    """A client that hangs up is part of the test, so it is no news."""

    daemon_threads = True

    def handle_error(self, *arguments: object) -> None:
        """Keep quiet."""


class Handler(BaseHTTPRequestHandler):
    """Behaves as the next word of `script` says; when there is none left, as a good server."""

    protocol_version = "HTTP/1.1"
    script: ClassVar[list[str]] = []
    ranges: ClassVar[list[str]] = []

    def log_message(self, *arguments: object) -> None:
        """Keep quiet."""

    def do_HEAD(self) -> None:
        self._head(200, len(CONTENT))

    def do_GET(self) -> None:
        wanted = self.headers.get("Range", "")
        self.ranges.append(wanted)
        start = int(wanted[6:-1]) if wanted else 0
        word = self.script.pop(0) if self.script else "good"
        getattr(self, f"_{word}")(start)

    def _head(self, status: int, length: int, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def _body(self, start: int, content: bytes = CONTENT, upto: int | None = None) -> None:
        if start:
            self._head(206, len(content) - start, Content_Range=f"bytes {start}-{len(content) - 1}/{len(content)}")
        else:
            self._head(200, len(content))
        self.wfile.write(content[start:upto])

    def _good(self, start: int) -> None:
        if start >= len(CONTENT):
            self._head(416, 0)
        else:
            self._body(start)

    def _truncate(self, start: int) -> None:
        self._body(start, upto=start + (len(CONTENT) - start) // 2)
        self.close_connection = True

    def _reset(self, start: int) -> None:
        self._body(start, upto=HALF)
        self.wfile.flush()
        time.sleep(0.1)
        # A linger of zero makes the close a reset.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def _stall(self, start: int) -> None:
        self._body(start, upto=HALF)
        self.wfile.flush()
        time.sleep(4)
        self.close_connection = True

    def _trickle(self, _start: int) -> None:
        self._head(200, len(CONTENT))
        for _number in range(100):
            self.wfile.write(b"x")
            self.wfile.flush()
            time.sleep(0.1)

    def _lie(self, _start: int) -> None:
        self._body(0, content=b"something else")

    def _short(self, _start: int) -> None:
        """Claims that less than the file is all of it."""
        self._body(0, content=CONTENT[:HALF])

    def _whole(self, _start: int) -> None:
        self._body(0)

    def _elsewhere(self, _start: int) -> None:
        self._head(206, 5, Content_Range=f"bytes 7-11/{len(CONTENT)}")
        self.wfile.write(b"wrong")

    def _busy(self, _start: int) -> None:
        self._head(503, 0)

    def _gone(self, _start: int) -> None:
        self._head(404, 0)

    def _away(self, _start: int) -> None:
        self._head(302, 0, Location="/other")

    def _circle(self, _start: int) -> None:
        self.script.insert(0, "circle")
        self._head(302, 0, Location=self.path + "x")


@pytest.fixture
def url(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    Handler.script.clear()
    Handler.ranges.clear()
    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/file"
        server.shutdown()
        thread.join()


def download(url: str, tmp_path: Path, patience: Patience = QUICK) -> Download:
    return Download(url, SHA256, "tool 1.0, file", tmp_path / "file.part", patience, threading.Event())


@pytest.mark.parametrize(
    "script",
    [
        [],
        ["truncate", "truncate", "truncate", "truncate"],
        ["reset"],
        ["stall"],
        ["busy", "busy"],
        ["away"],
        ["reset", "busy", "truncate", "away"],
        ["truncate", "whole"],
        ["truncate", "elsewhere"],
    ],
)
def test_a_file_arrives_through_a_bad_line(url: str, tmp_path: Path, script: list[str]) -> None:
    Handler.script.extend(script)
    assert download(url, tmp_path).run().read_bytes() == CONTENT


def test_what_has_arrived_is_not_fetched_again(url: str, tmp_path: Path) -> None:
    Handler.script.append("truncate")
    download(url, tmp_path).run()
    assert Handler.ranges == ["", f"bytes={HALF}-"]


def test_a_part_of_an_earlier_run_is_taken_up(url: str, tmp_path: Path) -> None:
    (tmp_path / "file.part").write_bytes(CONTENT[:1000])
    assert download(url, tmp_path).run().read_bytes() == CONTENT
    assert Handler.ranges == ["bytes=1000-"]


def test_a_part_that_is_complete_already_is_kept(url: str, tmp_path: Path) -> None:
    (tmp_path / "file.part").write_bytes(CONTENT)
    assert download(url, tmp_path).run().read_bytes() == CONTENT


@pytest.mark.parametrize("rubbish", [b"x" * 1000, b"x" * (len(CONTENT) + 5)])
def test_a_part_that_is_rubbish_is_fetched_anew(url: str, tmp_path: Path, rubbish: bytes) -> None:
    (tmp_path / "file.part").write_bytes(rubbish)
    assert download(url, tmp_path).run().read_bytes() == CONTENT


@pytest.mark.parametrize("script", [["lie"], ["short"]])
def test_another_file_than_the_pinned_is_refused_by_name_and_not_kept(
    url: str, tmp_path: Path, script: list[str]
) -> None:
    Handler.script.extend(script)
    with pytest.raises(
        BundleError, match=rf"tool 1.0, file was refused: .*/file gave .* with sha256 .*{SHA256} is pinned"
    ):
        download(url, tmp_path).run()
    assert not (tmp_path / "file.part").exists()


def test_a_file_that_is_not_there_is_said_at_once(url: str, tmp_path: Path) -> None:
    Handler.script.append("gone")
    with pytest.raises(BundleError, match="answered 404"):
        download(url, tmp_path).run()
    assert len(Handler.ranges) == 1


def test_redirects_in_a_circle_are_refused(url: str, tmp_path: Path) -> None:
    Handler.script.append("circle")
    with pytest.raises(BundleError, match="redirects in a circle or too often"):
        download(url, tmp_path).run()


def test_a_server_that_stays_busy_is_given_up_with_the_reason(url: str, tmp_path: Path) -> None:
    Handler.script.extend(["busy"] * 10)
    with pytest.raises(BundleError, match=r"3 tries brought nothing more.*the server answered 503.*bundle_mirror"):
        download(url, tmp_path).run()


def test_a_server_that_only_trickles_cannot_hold_us_beyond_the_deadline(url: str, tmp_path: Path) -> None:
    Handler.script.append("trickle")
    began = time.monotonic()
    with pytest.raises(BundleError, match="it was still arriving"):
        download(url, tmp_path, Patience(timeout=5, deadline=1, first_pause=0.01)).run()
    assert time.monotonic() - began < 4


def test_nobody_there_is_said_with_what_to_do(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(BundleError, match=r"could not be fetched.*refused.*Check the network"):
        download(f"http://127.0.0.1:{port}/file", tmp_path).run()


def test_stopping_keeps_the_part(url: str, tmp_path: Path) -> None:
    (tmp_path / "file.part").write_bytes(CONTENT[:1000])
    one = download(url, tmp_path)
    one.cancel.set()
    with pytest.raises(StoppedError, match="goes on from there"):
        one.run()
    assert (tmp_path / "file.part").read_bytes() == CONTENT[:1000]


def test_a_redirect_from_https_to_http_is_refused() -> None:
    request = urllib.request.Request("https://example.org/file")
    headers = http.client.HTTPMessage()
    with pytest.raises(BundleError, match="unprotected address"):
        Redirects().redirect_request(request, io.BytesIO(), 302, "", headers, "http://example.org/file")


def test_the_size_is_asked_without_fetching(url: str) -> None:
    assert size_of(url) == len(CONTENT)
    assert Handler.ranges == []
    assert size_of("http://127.0.0.1:1/file", timeout=1) is None


def test_the_longest_prefix_of_a_mirror_wins() -> None:
    mirror = {"https://example.org/": "https://a/", "https://example.org/special/": "https://b/"}
    assert mirrored("https://example.org/special/file", mirror) == "https://b/file"
    assert mirrored("https://example.org/file", mirror) == "https://a/file"
    assert mirrored("https://elsewhere.org/file", mirror) == "https://elsewhere.org/file"
