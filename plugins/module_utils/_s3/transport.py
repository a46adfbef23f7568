# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One signed request at a time, with deadlines, and again after growing pauses where network or store stumble."""

from __future__ import annotations

import hashlib
import http.client
import io
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from .errors import StoreError, StoreUnreachableError, code_of, refusal
from .signing import STAMP, Keys, authorization, quoted_path, quoted_query

BLOCK = 1 << 20
# Answers after which the same request may go well.
STUMBLES = (429, 500, 502, 503, 504)
LARGEST_BODY = 32 * BLOCK
# Bytes in a second: what was sent may still wait in this machine for a line as slow as that, before it can be answered.
SLOWEST_LINE = 64 << 10
_BROKEN = (OSError, http.client.HTTPException)


@dataclass(frozen=True)
class Answer:
    """What came back; names of headers in small letters."""

    status: int
    headers: dict[str, str]
    body: bytes = field(repr=False, default=b"")


@dataclass(frozen=True)
class Transport:
    """A store and how to speak to it."""

    endpoint: str
    bucket: str
    keys: Keys
    ca_file: str = ""
    timeout: float = 20.0
    tries: int = 4
    pause: float = 0.5
    sleep: Callable[[float], None] = time.sleep

    @classmethod
    def of(cls, settings: Mapping[str, str]) -> Transport:
        endpoint = settings["endpoint"].rstrip("/")
        parts = urlsplit(endpoint)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.username:
            raise StoreError(f"The store's endpoint is {endpoint!r}; give it as https://host or https://host:port.")
        for name in ("bucket", "access_key", "secret_key"):
            if not settings.get(name):
                raise StoreError(f"{endpoint}: the {name.replace('_', ' ')} of the store is not given.")
        keys = Keys(settings["access_key"], settings["secret_key"], settings.get("region") or "us-east-1")
        return cls(endpoint, settings["bucket"], keys, settings.get("ca_file", ""))

    @property
    def where(self) -> str:
        return self.endpoint

    def ask(
        self,
        method: str,
        key: str,
        query: Sequence[tuple[str, str]] = (),
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        tries: int | None = None,
    ) -> Answer:
        """Send a request and wait for the whole answer; a refusal is an error with its sentence."""
        doing = f"{method} {self.bucket}/{key}".rstrip("/")
        attempts = tries or self.tries
        last = ""
        for attempt in range(1, attempts + 1):
            try:
                answer = self._once(method, key, query, headers or {}, body)
            except ssl.SSLCertVerificationError as error:
                raise self._untrusted(error) from error
            except _BROKEN as error:
                last = _reason(error)
            else:
                if answer.status < 300:
                    return answer
                code = code_of(answer.body)
                if answer.status not in STUMBLES:
                    raise self._refusal(answer, code, doing)
                last = f"it answered {answer.status}{f' ({code})' if code else ''}"
            if attempt < attempts:
                self.sleep(self.pause * 2 ** (attempt - 1))
        raise StoreUnreachableError(f"{self.where} could not be reached for {doing} in {attempts} tries: {last}.")

    def read(self, key: str) -> Iterator[bytes]:
        """The object in blocks; a connection that breaks is made again from the next byte on."""
        have, total, attempt, tag = 0, -1, 0, ""
        while total < 0 or have < total:
            attempt += 1
            try:
                connection = self._connect()
                try:
                    extra = {"range": f"bytes={have}-", **({"if-match": tag} if tag else {})} if have else {}
                    response = self._send(connection, "GET", key, (), extra, b"")
                    if response.status not in (200, 206) or (have and response.status != 206):
                        answer = self._answer(response)
                        if answer.status not in STUMBLES:
                            raise self._refusal(answer, code_of(answer.body), f"GET {self.bucket}/{key}")
                        raise OSError(f"it answered {answer.status}")
                    tag = response.getheader("etag", "") or ""
                    if total < 0:
                        total = int(response.getheader("content-length", "0"))
                    while block := response.read(BLOCK):
                        have += len(block)
                        attempt = 0
                        yield block
                    if have < total:
                        raise OSError(f"the connection ended after {have} of {total} bytes")
                finally:
                    connection.close()
            except ssl.SSLCertVerificationError as error:
                raise self._untrusted(error) from error
            except _BROKEN as error:
                if attempt >= self.tries:
                    raise StoreUnreachableError(
                        f"{self.where} could not be reached for GET {self.bucket}/{key}: {_reason(error)}."
                    ) from error
                self.sleep(self.pause * 2 ** max(attempt - 1, 0))

    def _once(
        self, method: str, key: str, query: Sequence[tuple[str, str]], headers: Mapping[str, str], body: bytes
    ) -> Answer:
        connection = self._connect()
        try:
            return self._answer(self._send(connection, method, key, query, headers, body))
        finally:
            connection.close()

    def _send(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        key: str,
        query: Sequence[tuple[str, str]],
        headers: Mapping[str, str],
        body: bytes,
    ) -> http.client.HTTPResponse:
        parts = urlsplit(self.endpoint)
        path = f"{parts.path.rstrip('/')}/{self.bucket}" + (f"/{key}" if key else "")
        stamp = time.strftime(STAMP, time.gmtime())
        digest = hashlib.sha256(body).hexdigest()
        signed = {
            "host": parts.netloc,
            "x-amz-date": stamp,
            "x-amz-content-sha256": digest,
            **{name: value for name, value in headers.items() if name.startswith("x-amz-")},
        }
        given = authorization(self.keys, method, path, query, signed, digest, stamp)
        target = quoted_path(path) + (f"?{quoted_query(query)}" if query else "")
        # http.client would add a host of its own, and S3 wants a length with every body and with an empty PUT.
        connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        for name, value in {**headers, **signed, "authorization": given}.items():
            connection.putheader(name, value)
        if body or method in ("PUT", "POST"):
            connection.putheader("content-length", str(len(body)))
        # Block by block: the deadline is for each one then, and not for all that a slow line has to carry.
        connection.endheaders(io.BytesIO(body) if body else None)
        connection.sock.settimeout(self.timeout + len(body) / SLOWEST_LINE)
        return connection.getresponse()

    def _connect(self) -> http.client.HTTPConnection:
        parts = urlsplit(self.endpoint)
        host = parts.hostname or ""
        if parts.scheme == "http":
            return http.client.HTTPConnection(host, parts.port or 80, timeout=self.timeout)
        try:
            context = ssl.create_default_context(cafile=self.ca_file or None)
        except (OSError, ssl.SSLError) as error:
            raise StoreError(
                f"The CA file {self.ca_file} of {self.where} cannot be used ({_reason(error)}). Give the PEM file of "
                "the CA that signed the store's certificate."
            ) from error
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return http.client.HTTPSConnection(host, parts.port or 443, timeout=self.timeout, context=context)

    @staticmethod
    def _answer(response: http.client.HTTPResponse) -> Answer:
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, headers, response.read(LARGEST_BODY))

    def _refusal(self, answer: Answer, code: str, doing: str) -> StoreError:
        return refusal(
            answer.status,
            code,
            answer.headers,
            where=self.where,
            bucket=self.bucket,
            access_key=self.keys.access_key,
            doing=doing,
        )

    def _untrusted(self, error: ssl.SSLCertVerificationError) -> StoreError:
        by = f"the CA in {self.ca_file}" if self.ca_file else "a CA that this machine knows"
        return StoreError(
            f"{self.where} was not trusted: its certificate is not one of {by} ({error.verify_message}). Nothing was "
            "sent. Give the CA that signed it, or look at who answers there."
        )


def _reason(error: BaseException) -> str:
    if isinstance(error, (socket.timeout, TimeoutError)):
        return "it did not answer in time"
    if isinstance(error, ssl.SSLError):
        return f"no TLS could be agreed on ({error.reason or error})"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__
