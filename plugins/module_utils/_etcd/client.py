# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks members of etcd through the JSON side of their client port, with the standard library only."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from .errors import EtcdError

SECONDS = 4.0


@dataclass(frozen=True)
class Credentials:
    """The files with which a client shows who it is."""

    folder: Path

    @property
    def authority(self) -> Path:
        return self.folder / "ca.crt"

    @property
    def certificate(self) -> Path:
        return self.folder / "client.crt"

    @property
    def key(self) -> Path:
        return self.folder / "client.key"

    @property
    def complete(self) -> bool:
        return all(path.is_file() for path in (self.authority, self.certificate, self.key))

    def context(self) -> ssl.SSLContext:
        """What a connection needs; a file that is no certificate is an error with its name."""
        try:
            context = ssl.create_default_context(cafile=str(self.authority))
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            context.load_cert_chain(str(self.certificate), str(self.key))
        except (OSError, ssl.SSLError) as error:
            raise EtcdError(f"the certificates in {self.folder} cannot be used: {error}") from error
        return context


class Client:
    """One member's client port. Every question has a deadline."""

    def __init__(self, url: str, context: ssl.SSLContext, seconds: float = SECONDS) -> None:
        self.url = url
        self._context = context
        self._seconds = seconds

    def ask(self, path: str, body: Mapping[str, Any] | None = None, seconds: float | None = None) -> dict[str, Any]:
        """Post a question and return the answer."""
        return self._exchange("POST", path, json.dumps(body or {}).encode(), seconds or self._seconds)

    def health(self, seconds: float | None = None) -> str:
        """Why the member is not healthy; empty where it is. A healthy answer needs a quorum behind it."""
        try:
            answer = self._exchange("GET", "/health", None, seconds or self._seconds)
        except EtcdError as error:
            return str(error)
        return "" if answer.get("health") == "true" else str(answer.get("reason") or "it says that it is not healthy")

    def _exchange(self, method: str, path: str, body: bytes | None, seconds: float) -> dict[str, Any]:
        parts = urlsplit(self.url)
        connection = http.client.HTTPSConnection(
            parts.hostname or "", parts.port or 2379, timeout=seconds, context=self._context
        )
        try:
            connection.request(method, path, body, {"Content-Type": "application/json"} if body else {})
            response = connection.getresponse()
            text, status = response.read().decode("utf-8", "replace"), response.status
        except (OSError, http.client.HTTPException) as error:
            raise EtcdError(f"no answer from {self.url}: {error or type(error).__name__}") from error
        finally:
            connection.close()
        return _read(self.url, path, status, text)


def _read(url: str, path: str, status: int, text: str) -> dict[str, Any]:
    try:
        answer = json.loads(text)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise EtcdError(f"{url} answered {path} with {status}: {text.strip()[:200]}")
    if status != http.client.OK and "health" not in answer:
        said = answer.get("message") or answer.get("error") or text.strip()[:200]
        raise EtcdError(f"{url} refused {path}: {said}")
    return answer
