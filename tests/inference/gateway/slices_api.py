# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Stands in for Kubernetes' API where only its list and watch of EndpointSlices are asked: HTTPS with a certificate, a
token that must be right, versions, and a history that can be too short."""

from __future__ import annotations

import contextlib
import json
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.inference.server.certificates import Authority

PATH = "/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices"
SERVICE = "holdfast-engine"


def endpoint(name: str, address: str, *, ready: bool = True) -> dict[str, Any]:
    return {"addresses": [address], "conditions": {"ready": ready}, "targetRef": {"kind": "Pod", "name": name}}


def slice_of(name: str, *endpoints: dict[str, Any], **members: Any) -> dict[str, Any]:
    """A slice with the port of the service and the one for heartbeats."""
    ports = [{"name": "http", "port": 8080}, {"name": "heartbeat", "port": 8081}]
    return {"metadata": {"name": name}, "addressType": "IPv4", "ports": ports, "endpoints": list(endpoints), **members}


@dataclass
class Api:
    """What it knows, and who asked."""

    account: Path
    port: int = 0
    token: str = "first"
    items: dict[str, dict[str, Any]] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    version: int = 1
    oldest: int = 0
    """Versions below this one are forgotten."""
    lists: int = 0
    watches: int = 0
    changed: threading.Condition = field(default_factory=threading.Condition)
    broken: bool = False

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def put(self, kind: str, item: dict[str, Any]) -> None:
        """Change something, and tell those who watch."""
        with self.changed:
            self.version += 1
            item["metadata"]["resourceVersion"] = str(self.version)
            if kind == "DELETED":
                self.items.pop(item["metadata"]["name"], None)
            elif kind != "BOOKMARK":
                self.items[item["metadata"]["name"]] = item
            self.history.append({"type": kind, "object": item})
            self.changed.notify_all()

    def forget(self) -> None:
        """All watches end, and nobody can go on where they were."""
        with self.changed:
            self.version += 1
            self.oldest = self.version
            self.changed.notify_all()

    def break_off(self, *, broken: bool) -> None:
        """Answer nothing any more, or again."""
        with self.changed:
            self.broken = broken
            self.changed.notify_all()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    api: Api

    def do_GET(self) -> None:
        url, api = urlsplit(self.path), self.api
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        if api.broken:
            self.close_connection = True
        elif self.headers["Authorization"] != f"Bearer {api.token}":
            self._answer(401, {"kind": "Status", "code": 401})
        elif url.path != PATH or query["labelSelector"] != f"kubernetes.io/service-name={SERVICE}":
            self._answer(404, {"kind": "Status", "code": 404})
        elif "watch" in query:
            api.watches += 1
            self._watch(int(query["resourceVersion"]))
        else:
            api.lists += 1
            with api.changed:
                told = {"metadata": {"resourceVersion": str(api.version)}, "items": list(api.items.values())}
            self._answer(200, told)

    def _answer(self, status: int, content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _watch(self, since: int) -> None:
        self.send_response(200)
        self.send_header("Connection", "close")
        self.end_headers()
        api = self.api
        self.close_connection = True
        while True:
            with api.changed:
                news = [event for event in api.history if int(event["object"]["metadata"]["resourceVersion"]) > since]
                if not news and since >= api.oldest and not api.broken:
                    api.changed.wait(0.2)
                    continue
                gone, broken = since < api.oldest, api.broken
            if broken:
                return
            for event in [{"type": "ERROR", "object": {"code": 410}}] if gone else news:
                self.wfile.write(json.dumps(event).encode() + b"\n")
            if gone:
                return
            since = int(news[-1]["object"]["metadata"]["resourceVersion"])

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is not ours
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go in the middle of a watch are what this is for."""


@contextlib.contextmanager
def slices_api(folder: Path) -> Iterator[Api]:
    """An API until the end of the block, with the files of a service account."""
    authority = Authority(folder, "cluster")
    pair = authority.pair("api")
    account = folder / "account"
    account.mkdir()
    (account / "ca.crt").write_bytes(authority.path.read_bytes())
    (account / "namespace").write_text("shop", encoding="utf-8")
    (account / "token").write_text("first\n", encoding="utf-8")
    api = Api(account)
    server = _Server(("127.0.0.1", 0), type("Handler", (_Handler,), {"api": api}))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    api.port = int(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield api
    finally:
        api.break_off(broken=True)
        server.shutdown()
        server.server_close()
