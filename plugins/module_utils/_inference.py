# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a node has of the inference service, asked in a way that needs no key and no API server, and ends in time.

Engines and gateways have a socket for their operator in their pods' folder for scratch files; who is root on the node
may ask there. The doors are asked as a client asks, and with the authority that clients were given.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from ._certificate import parse

# Pods' folders are the kubelet's; the rest of each name is the chart's.
PODS = Path("/var/lib/kubelet/pods")
SOCKET = "volumes/kubernetes.io~empty-dir/run/admin.sock"
KINDS = ("engine", "gateway")
LONGEST_ANSWER = 1024 * 1024

CONNECTING = (OSError, http.client.HTTPException, ValueError)


@dataclass(frozen=True)
class Door:
    """What a client finds at an address: `answers` once work may be sent there, `said` otherwise.

    `refused` is why those who trust the authority would not speak with it; `days_left` are its certificate's.
    """

    url: str
    answers: bool = False
    said: str = ""
    refused: str = ""
    days_left: int | None = None


def look(urls: Iterable[str], authority: str, seconds: float, pods: Path = PODS) -> dict[str, Any]:
    """All at once; what has not answered when the time is over counts as silent."""
    sockets = {(kind, path): _status_of(path, seconds) for kind in KINDS for path in _sockets(pods, kind)}
    doors = {url: _door_of(url, authority, seconds) for url in dict.fromkeys(urls) if url}
    answers = _at_once({**sockets, **doors}, seconds)
    said = f"no answer within {seconds:g} s"
    silent = {"ready": False, "not_ready_because": said}
    found = {f"{kind}s": [answers.get(key, silent) for key in sockets if key[0] == kind] for kind in KINDS}
    return {**found, "doors": [asdict(answers.get(url, Door(url, said=said))) for url in doors]}


def _at_once(questions: dict[Any, Callable[[], Any]], seconds: float) -> dict[Any, Any]:
    answers: dict[Any, Any] = {}

    def ask(key: Any) -> None:
        answers[key] = questions[key]()

    # Daemons: one that is fed byte by byte for ever must not keep the module from ending.
    threads = [threading.Thread(target=ask, args=(key,), daemon=True) for key in questions]
    until = time.monotonic() + seconds
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    return dict(answers)


def _sockets(pods: Path, kind: str) -> list[Path]:
    found = [pod / SOCKET for pod in pods.glob("*") if (pod / "containers" / kind).is_dir()]
    return sorted(path for path in found if path.is_socket())


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, seconds: float) -> None:
        super().__init__("operator", timeout=seconds)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def _status_of(path: Path, seconds: float) -> Callable[[], dict[str, Any]]:
    def ask() -> dict[str, Any]:
        connection = _UnixConnection(path, seconds)
        try:
            connection.request("GET", "/admin/status")
            told = json.loads(connection.getresponse().read(LONGEST_ANSWER))
            return told if isinstance(told, dict) else {}
        except CONNECTING as error:
            return {"ready": False, "not_ready_because": f"it does not answer: {error or type(error).__name__}"}
        finally:
            connection.close()

    return ask


def _door_of(url: str, authority: str, seconds: float) -> Callable[[], Door]:
    parts = urlsplit(url)

    def ask() -> Door:
        try:
            connection = _connection(parts, _trusting_all(), seconds)
            try:
                connection.connect()
                days = _days_left(connection.sock)
                connection.request("GET", "/health/ready")
                response = connection.getresponse()
                said = response.read(LONGEST_ANSWER).decode(errors="replace")
            finally:
                connection.close()
            refused = _refused(parts, authority, seconds) if authority and parts.scheme == "https" else ""
        except CONNECTING as error:
            return Door(url, said=str(error) or type(error).__name__)
        answers = response.status == http.client.OK
        return Door(url, answers, "" if answers else f"HTTP {response.status}: {_message(said)}", refused, days)

    return ask


def _connection(parts: SplitResult, context: ssl.SSLContext, seconds: float) -> http.client.HTTPConnection:
    host, port = parts.hostname or "", parts.port
    if parts.scheme == "https":
        return http.client.HTTPSConnection(host, port, timeout=seconds, context=context)
    return http.client.HTTPConnection(host, port, timeout=seconds)


def _trusting_all() -> ssl.SSLContext:
    """To see what is served, whoever signed it; nothing secret is sent."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def _refused(parts: SplitResult, authority: str, seconds: float) -> str:
    connection = _connection(parts, ssl.create_default_context(cadata=authority), seconds)
    try:
        connection.connect()
    except ssl.SSLCertVerificationError as error:
        return str(error.verify_message)
    finally:
        connection.close()
    return ""


def _days_left(connected: Any) -> int | None:
    if not isinstance(connected, ssl.SSLSocket):
        return None
    return int(parse(connected.getpeercert(binary_form=True) or b"").days_left(time.time()))


def _message(text: str) -> str:
    """Of an error in OpenAI's shape, what people read."""
    try:
        return str(json.loads(text)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return text[:100].strip()
