# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A node that says what no node should: it is well whenever it is looked at, and answers /generate with given bytes."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
import time
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.inference.server.scripted_engine import ScriptedEngine

RESET = struct.pack("ii", 1, 0)
STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
CHUNKED = STREAM.replace(b"Connection", b"Transfer-Encoding: chunked\r\nConnection")
HEAD = {"id": "x", "model": "shop", "digest": "sha256:aa", "fingerprint": "fp_aa"}
MODEL = {"running": 0, "waiting": 0, "queued_tokens": 0, "queue_limit_tokens": 1000, "kv_use": 0.0}


def frames(*contents: Any) -> bytes:
    """Events behind the head of a stream that ends with its connection."""
    return STREAM + b"".join(b"data: " + json.dumps(content).encode() + b"\n\n" for content in (HEAD, *contents))


def refused(status: int, error: Any) -> bytes:
    return _whole(status, {"error": error})


def plain(status: int, text: str = "Bad Gateway") -> bytes:
    """As a proxy says it, or a server that does not know of itself."""
    head = (
        f"HTTP/1.1 {status} Said\r\nContent-Type: text/html\r\nContent-Length: {len(text)}\r\nConnection: close\r\n\r\n"
    )
    return (head + text).encode()


def _whole(status: int, content: Any) -> bytes:
    return plain(status, json.dumps(content)).replace(b"text/html", b"application/json")


class RawNode:
    """`says` is what it answers; `resets` whether it then resets the connection instead of ending it."""

    def __init__(self, says: bytes = b"", *, resets: bool = False) -> None:
        self.says = says
        self.resets = resets
        self.asked = 0
        self.hangs = threading.Event()
        """While it is set, nothing is said to anybody."""
        self.models: Any = {"shop": MODEL}
        """What its summary tells."""
        self.tokenizer = ""
        self.headers: Mapping[str, str] = {}
        """Those of the last request."""
        node = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                node.wait()
                self.wfile.write(_whole(200, node._listed() if self.path == "/v1/models" else node._summary()))

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                node.asked += 1
                node.headers = dict(self.headers)
                node.wait()
                self.wfile.write(node.says)
                self.wfile.flush()
                if node.resets:
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)

            def log_message(self, *told: Any) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def wait(self) -> None:
        while self.hangs.is_set():
            time.sleep(0.01)

    def _summary(self) -> dict[str, Any]:
        return {"ready": True, "tokens_per_second": 0.0, "models": self.models}

    def _listed(self) -> dict[str, Any]:
        facts = ScriptedEngine().models()["shop"]
        entry = {
            "id": facts.name,
            "digest": facts.digest,
            "system_fingerprint": facts.fingerprint,
            "max_model_len": facts.context_length,
            "vocabulary": facts.vocabulary,
            "eos_ids": list(facts.eos_ids),
            "slots": facts.slots,
            "row_quantum": facts.row_quantum,
            "tokenizer": self.tokenizer,
            "created": facts.loaded_at,
        }
        return {"object": "list", "data": [entry]}

    def serve(self) -> None:
        self._server.serve_forever(poll_interval=0.01)

    def close(self) -> None:
        self.hangs.clear()
        self._server.shutdown()
        self._server.server_close()


@contextlib.contextmanager
def raw_node(says: bytes = b"", *, resets: bool = False) -> Iterator[RawNode]:
    """Such a node until the end of the block."""
    node = RawNode(says, resets=resets)
    thread = threading.Thread(target=node.serve, daemon=True)
    thread.start()
    try:
        yield node
    finally:
        node.close()
        thread.join()
