# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One client of the API with one connection, kept while it is good and left at the first doubt."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml


class NoAnswerError(Exception):
    """The question may have arrived, or not. `sent` tells whether a connection was there to send it on."""

    def __init__(self, said: str, sent: bool) -> None:
        super().__init__(said)
        self.sent = sent


@dataclass(frozen=True)
class Way:
    """Where the API is, and who asks."""

    address: str
    port: int
    context: ssl.SSLContext

    @classmethod
    def from_kubeconfig(cls, text: str, address: str, port: int) -> Way:
        """Take identity and authority from a kubeconfig, and ask at this address."""
        document = yaml.safe_load(text)
        cluster, user = document["clusters"][0]["cluster"], document["users"][0]["user"]
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        context = ssl.create_default_context(cadata=authority)
        with tempfile.NamedTemporaryFile() as pair:
            for name in ("client-certificate-data", "client-key-data"):
                pair.write(base64.b64decode(user[name]) + b"\n")
            pair.flush()
            context.load_cert_chain(Path(pair.name))
        return cls(address, port, context)


class Client:
    """Asks one question after another."""

    def __init__(self, way: Way, seconds: float) -> None:
        self._way = way
        self._seconds = seconds
        self._connection: http.client.HTTPSConnection | None = None

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> tuple[int, Any]:
        """Return status and document of the answer; without one in time the connection is left: NoAnswerError."""
        content = None if body is None else json.dumps(body)
        sent = False
        try:
            connection = self._connected()
            sent = True
            connection.request(method, path, content, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
            return answer.status, json.loads(text) if text.startswith(b"{") else {}
        except (OSError, http.client.HTTPException, ValueError) as error:
            self.hang_up()
            raise NoAnswerError(f"{type(error).__name__}: {error}", sent) from error

    def open(self, path: str) -> http.client.HTTPResponse:
        """An answer that goes on, such as a watch; it is read by whoever asked."""
        connection = self._connected()
        connection.request("GET", path)
        return connection.getresponse()

    def hang_up(self) -> None:
        """Leave the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connected(self) -> http.client.HTTPSConnection:
        if self._connection is None:
            way = self._way
            connection = http.client.HTTPSConnection(way.address, way.port, timeout=self._seconds, context=way.context)
            connection.connect()
            self._connection = connection
        return self._connection
