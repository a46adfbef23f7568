# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a node is asked of the inference service, with sockets and certificates that are real, and an end in time."""

from __future__ import annotations

import contextlib
import http.server
import json
import socket
import socketserver
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.holdfast.edge.plugins.module_utils._inference import SOCKET, look
from ansible_collections.holdfast.edge.plugins.plugin_utils._authority import Authority, Order

READY = {"ready": True, "models": {"shop": {"digest": "6f1e", "queued_tokens": 0}}}


class Asked(http.server.BaseHTTPRequestHandler):
    """Answers what the server was told to, and keeps what it was asked."""

    def do_GET(self) -> None:
        served: Any = self.server
        served.asked.append((self.path, dict(self.headers)))
        body = json.dumps(served.told).encode()
        self.send_response(served.status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self) -> str:
        return "a socket"

    def log_message(self, *_arguments: object) -> None:
        """Says nothing."""


class UnixServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


class TcpServer(http.server.ThreadingHTTPServer):
    pass


class Node:
    """A folder of pods, an authority, and what listens."""

    def __init__(self, folder: Path) -> None:
        self.pods = folder / "pods"
        self.folder = folder
        self.authority = Authority.create("answers-ca")
        self.running: list[Any] = []

    def pod(self, kind: str, told: Any, status: int = 200) -> None:
        pod = self.pods / str(len(self.running))
        (pod / "containers" / kind).mkdir(parents=True)
        path = pod / SOCKET
        path.parent.mkdir(parents=True)
        self._start(UnixServer(str(path), Asked), told, status)

    def door(self, told: Any, status: int = 200, signer: Authority | None = None, name: str = "127.0.0.1") -> str:
        server = TcpServer(("127.0.0.1", 0), Asked)
        issued = (signer or self.authority).issue(Order("server", "gateway", (name,), 40))
        both = self.folder / "both.pem"
        both.write_text(issued.key + issued.certificate, encoding="utf-8")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(both)
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        self._start(server, told, status)
        return f"https://127.0.0.1:{server.server_address[1]}"

    def _start(self, server: Any, told: Any, status: int) -> None:
        server.told, server.status, server.asked = told, status, []
        self.running.append(server)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()

    def look(self, *urls: str, seconds: float = 5.0) -> dict[str, Any]:
        return look(urls, self.authority.certificates, seconds, self.pods)


@pytest.fixture
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    # The path of a Unix socket must be shorter than pytest's own for a test of a long name.
    node = Node(tmp_path_factory.mktemp("n"))
    yield node
    for server in node.running:
        server.shutdown()
        server.server_close()


def test_a_node_without_it_has_nothing_to_tell(here: Node) -> None:
    assert here.look() == {"engines": [], "gateways": [], "doors": []}


def test_engines_and_gateways_are_told_apart_and_asked_without_a_key(here: Node) -> None:
    here.pod("engine", READY)
    here.pod("gateway", {"ready": False, "not_ready_because": "loading"})
    here.pod("sidecar", {"ready": True})
    found = here.look()
    assert found["engines"] == [READY]
    assert found["gateways"] == [{"ready": False, "not_ready_because": "loading"}]
    ((path, headers),) = here.running[0].asked
    assert path == "/admin/status" and "Authorization" not in headers
    assert here.running[2].asked == []


def test_a_socket_that_nobody_listens_at_is_an_engine_that_is_not_ready(here: Node) -> None:
    here.pod("engine", READY)
    here.running[0].shutdown()
    here.running[0].server_close()
    (engine,) = here.look()["engines"]
    assert not engine["ready"] and "Connection refused" in engine["not_ready_because"]


def test_a_door_is_asked_as_a_client_asks_it(here: Node) -> None:
    url = here.door({"ready": True})
    (door,) = here.look(url, "", url)["doors"]
    assert door == {"url": url, "answers": True, "said": "", "refused": "", "days_left": 39}
    assert [path for path, _headers in here.running[0].asked] == ["/health/ready"]


def test_what_a_door_says_that_does_not_answer_is_kept(here: Node) -> None:
    url = here.door({"error": {"message": "Not ready: draining."}}, status=503)
    (door,) = here.look(url)["doors"]
    assert (door["answers"], door["said"], door["days_left"]) == (False, "HTTP 503: Not ready: draining.", 39)
    (door,) = here.look("https://127.0.0.1:1")["doors"]
    assert not door["answers"] and "Connection refused" in door["said"]


@pytest.mark.parametrize(
    ("stranger", "name", "said"), [(True, "127.0.0.1", "issuer"), (False, "127.0.0.2", "mismatch")]
)
def test_clients_that_would_refuse_it_are_told_why(here: Node, stranger: bool, name: str, said: str) -> None:
    signer = Authority.create("answers-ca") if stranger else here.authority
    (door,) = here.look(here.door(READY, signer=signer, name=name))["doors"]
    assert door["answers"] and said in door["refused"]


def test_what_is_silent_holds_nobody_up(here: Node) -> None:
    here.pod("engine", READY)
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        started = time.monotonic()
        found = here.look(f"http://127.0.0.1:{deaf.getsockname()[1]}", seconds=0.5)
        assert time.monotonic() - started < 2
    assert found["engines"] == [READY]
    assert found["doors"][0]["answers"] is False


def test_one_that_is_fed_byte_by_byte_ends_in_time_too(here: Node) -> None:
    with socket.create_server(("127.0.0.1", 0)) as drips:

        def drip() -> None:
            taken, _address = drips.accept()
            with taken, contextlib.suppress(OSError):
                for _number in range(100):
                    taken.sendall(b"H")
                    time.sleep(0.1)

        threading.Thread(target=drip, daemon=True).start()
        started = time.monotonic()
        (door,) = here.look(f"http://127.0.0.1:{drips.getsockname()[1]}", seconds=0.5)["doors"]
        assert time.monotonic() - started < 2
    assert (door["answers"], door["said"]) == (False, "no answer within 0.5 s")
