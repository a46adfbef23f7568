# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Kubernetes API, asked with the credentials that k3s itself keeps on this node."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import paths
from .errors import K3sError

MERGE = "application/merge-patch+json"


@dataclass(frozen=True)
class Answer:
    """What came back; status 0 when nothing did, and the reason as the body."""

    status: int
    body: str

    @property
    def good(self) -> bool:
        return 200 <= self.status < 300

    def json(self) -> Any:
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise K3sError(f"the API answered what is no JSON: {self.body[:200]!r}") from error


@dataclass(frozen=True)
class Identity:
    """The files of one client."""

    authority: Path
    certificate: Path
    key: Path

    @property
    def complete(self) -> bool:
        return all(path.is_file() for path in (self.authority, self.certificate, self.key))


def identity(kind: str, root: Path = Path("/")) -> Identity:
    """A server has the administrator's, an agent only its kubelet's."""
    if kind == "server":
        tls = root / paths.SERVER_TLS.lstrip("/")
        return Identity(tls / "server-ca.crt", tls / "client-admin.crt", tls / "client-admin.key")
    agent = root / paths.AGENT.lstrip("/")
    return Identity(agent / "server-ca.crt", agent / "client-kubelet.crt", agent / "client-kubelet.key")


class Api:
    """One address. Each request has a connection of its own, so a server that came back is seen at once."""

    def __init__(self, address: str, port: int, who: Identity | None, seconds: float = 5.0) -> None:
        self.address = address
        self._port = port
        self._seconds = seconds
        self._context = _context(who)

    def ask(self, method: str, path: str, body: Any = None, kind: str = "application/json") -> Answer:
        """One request; no exception whatever happens on the way."""
        connection = http.client.HTTPSConnection(self.address, self._port, timeout=self._seconds, context=self._context)
        try:
            content = None if body is None else json.dumps(body)
            connection.request(method, path, content, {"Content-Type": kind, "Accept": "application/json"})
            response = connection.getresponse()
            return Answer(response.status, response.read().decode("utf-8", "replace"))
        except (OSError, http.client.HTTPException) as error:
            return Answer(0, f"{type(error).__name__}: {error}")
        finally:
            connection.close()

    def get(self, path: str) -> Answer:
        return self.ask("GET", path)

    def merge(self, path: str, body: Mapping[str, Any]) -> Answer:
        return self.ask("PATCH", path, body, MERGE)


def _context(who: Identity | None) -> ssl.SSLContext:
    if who is None:
        # Asked for a sign of life only: nothing secret is sent, and nothing that is said is believed.
        blind = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        blind.check_hostname = False
        blind.verify_mode = ssl.CERT_NONE
        return blind
    try:
        context = ssl.create_default_context(cafile=str(who.authority))
        context.load_cert_chain(str(who.certificate), str(who.key))
    except (OSError, ssl.SSLError) as error:
        raise K3sError(f"the credentials {who.certificate} cannot be used: {error}") from error
    return context


def local(kind: str, root: Path = Path("/"), seconds: float = 5.0) -> Api | None:
    """The API as this node reaches it: a server its own, an agent by its balancer; None before the first start."""
    who = identity(kind, root)
    if not who.complete:
        return None
    return Api("127.0.0.1", paths.SUPERVISOR_PORT if kind == "server" else paths.BALANCER_PORT, who, seconds)
