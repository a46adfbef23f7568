# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Kubernetes API of one server, asked over plain HTTPS so that no client hides what the server says."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

PORT = 6443


class ApiError(Exception):
    """The server answered, and the answer was no."""

    def __init__(self, status: int, body: str) -> None:
        super().__init__(f"{status}: {body[:300]}")
        self.status = status


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    body: str

    def json(self) -> Any:
        """Return the body's document."""
        return json.loads(self.body)


class Api:
    """One address, one identity; every request has a connection of its own, as after a fail-over."""

    def __init__(self, address: str, context: ssl.SSLContext, headers: dict[str, str] | None = None) -> None:
        self.address = address
        self._context = context
        self._headers = headers or {}

    @classmethod
    def from_kubeconfig(cls, text: str, address: str) -> Api:
        """Take identity and authority from a kubeconfig, and the address from the test."""
        document = yaml.safe_load(text)
        cluster, user = document["clusters"][0]["cluster"], document["users"][0]["user"]
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        context = ssl.create_default_context(cadata=authority)
        with tempfile.NamedTemporaryFile() as pair:
            for name in ("client-certificate-data", "client-key-data"):
                pair.write(base64.b64decode(user[name]) + b"\n")
            pair.flush()
            context.load_cert_chain(Path(pair.name))
        return cls(address, context)

    @classmethod
    def anonymous(cls, address: str) -> Api:
        """Ask as nobody, and believe any certificate."""
        return cls(address, ssl._create_unverified_context())

    @classmethod
    def with_password(cls, address: str, user: str, password: str) -> Api:
        """Ask as an agent or a server does before it has a certificate."""
        encoded = base64.b64encode(f"{user}:{password}".encode()).decode()
        return cls(address, ssl._create_unverified_context(), {"Authorization": f"Basic {encoded}"})

    def ask(
        self, method: str, path: str, body: Any = None, seconds: float = 10, kind: str = "application/json"
    ) -> Answer:
        """Make one request and return the answer, whatever it is."""
        connection = http.client.HTTPSConnection(self.address, PORT, timeout=seconds, context=self._context)
        try:
            content = None if body is None else json.dumps(body)
            connection.request(method, path, content, {**self._headers, "Content-Type": kind})
            response = connection.getresponse()
            return Answer(response.status, response.read().decode("utf-8", "replace"))
        finally:
            connection.close()

    def get(self, path: str) -> Any:
        """Return a document that must be there."""
        return self._good(self.ask("GET", path))

    def post(self, path: str, body: Any) -> Any:
        """Create what must not be there yet."""
        return self._good(self.ask("POST", path, body))

    def delete(self, path: str) -> Any:
        """Delete what must be there."""
        return self._good(self.ask("DELETE", path))

    def merge(self, path: str, body: Any) -> Any:
        """Change some fields."""
        return self._good(self.ask("PATCH", path, body, kind="application/merge-patch+json"))

    def status(self, path: str) -> int:
        """Return only the answer's number, 0 when there was none."""
        try:
            return self.ask("GET", path).status
        except OSError:
            return 0

    @staticmethod
    def _good(answer: Answer) -> Any:
        if answer.status >= 300:
            raise ApiError(answer.status, answer.body)
        return answer.json()
