# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""Streams that a client can take up again after its own connection was lost, at this gateway or at any other.

A client asks with `X-Holdfast-Event-Ids: 1`; each event of its stream then has an id. It comes back with the same body
and `Last-Event-ID`, and is told what follows. No gateway remembers anything for that: an answer depends on its request
and its seed alone, so the id holds the seed and how many events there were, and the answer is drawn once more from its
beginning. Who does not ask sees no ids, since OpenAI's clients stumble over them.

A request with an `Idempotency-Key` and no seed gets its seed from the key: asked again, it is answered alike.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import secrets
import time
from dataclasses import dataclass
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from holdfast_inference.server.asked import SEED_BITS
from holdfast_inference.server.errors import ApiError, invalid
from holdfast_inference.server.stream import DONE, PING, frame

PATHS = frozenset({"/generate", "/v1/chat/completions", "/v1/completions"})
WANTED_HEADER = "X-Holdfast-Event-Ids"
_ID = re.compile(r"1\.(\d{1,9})\.(\d{1,19})\.(\d{1,12})\.([A-Za-z0-9._:-]{1,128})\.([0-9a-f]{16})\.([0-9a-f]{16})")


@dataclass(frozen=True)
class EventId:
    """Where in which stream a client is."""

    number: int
    seed: int
    created: int
    answer: str
    """The id that the answer has for the client."""
    model: str
    """A digest of what identifies the model: another one would go on with another answer."""
    body: str
    """A digest of what was asked."""

    def __str__(self) -> str:
        return f"1.{self.number}.{self.seed}.{self.created}.{self.answer}.{self.model}.{self.body}"

    @classmethod
    def parse(cls, text: str) -> EventId:
        found = _ID.fullmatch(text)
        if found is None:
            raise invalid("Last-Event-ID is none that this service gave out.", "Last-Event-ID")
        number, seed, created, answer, model, body = found.groups()
        return cls(int(number), int(seed) % 2**SEED_BITS, int(created), answer, model, body)


class EventIds:
    """A layer around the server's application."""

    def __init__(self, app: ASGIApp, body_bytes: int) -> None:
        self._app = app
        self._body_bytes = body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope) if scope["type"] == "http" else Headers({})
        last, key = headers.get("last-event-id"), headers.get("idempotency-key")
        wanted = headers.get(WANTED_HEADER) == "1" or last is not None
        if not (wanted or key) or scope["method"] != "POST" or scope["path"].rstrip("/") not in PATHS:
            await self._app(scope, receive, send)
            return
        asked = _Asked(receive, self._body_bytes, last, key, wanted=wanted)
        told = _Told(asked, send)
        await self._app(scope, asked.receive, told.send)


class _Asked:
    """The request, which is read when the server reads it: after it has looked at the key."""

    def __init__(self, receive: Receive, body_bytes: int, last: str | None, key: str | None, *, wanted: bool) -> None:
        self._receive = receive
        self._body_bytes = body_bytes
        self._last = last
        self._key = key
        self._wanted = wanted
        self._is_read = False
        self.after: EventId | None = None
        self.seed = 0
        self.body = ""
        self.has_ids = False

    async def receive(self) -> Message:
        if self._is_read:
            return await self._receive()
        parts: list[bytes] = []
        size, more = 0, True
        while more and size <= self._body_bytes:
            message = await self._receive()
            if message["type"] != "http.request":
                return message
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            more = message.get("more_body", False)
        self._is_read = True
        raw = b"".join(parts)
        # A body that is too large, or no JSON object, is refused by the server as any other.
        return {"type": "http.request", "body": raw if more else self._with_seed(raw), "more_body": more}

    def _with_seed(self, raw: bytes) -> bytes:
        try:
            content = json.loads(raw.decode("utf-8"))
        except (ValueError, RecursionError):
            return raw
        if not isinstance(content, dict):
            return raw
        self.body = hashlib.blake2b(raw, digest_size=8).hexdigest()
        if self._last is not None:
            self.after = EventId.parse(self._last)
            if self.after.body != self.body:
                raise invalid("Last-Event-ID belongs to another request body.", "Last-Event-ID")
        self.has_ids = self._wanted and _is_one_answer(content)
        if self._last is not None and not self.has_ids:
            raise invalid("Only a stream of one answer can be taken up again.", "Last-Event-ID")
        given = content.get("seed")
        if given is not None:
            self.seed = given % 2**SEED_BITS if isinstance(given, int) else 0
            return raw
        self.seed = self._chosen_seed()
        more = b'%s"seed":%d}' % (b"," if content else b"", self.seed)
        return raw.rstrip()[:-1] + more

    def _chosen_seed(self) -> int:
        if self.after is not None:
            return self.after.seed
        if self._key:
            digest = hashlib.blake2b(self._key.encode("utf-8", "surrogateescape"), digest_size=8).digest()
            return int.from_bytes(digest, "big") >> (64 - SEED_BITS)
        return secrets.randbits(SEED_BITS)


class _Told:
    """The response: each event gets its id, and those that the client has are left out."""

    def __init__(self, asked: _Asked, send: Send) -> None:
        self._asked = asked
        self._send = send
        self._start: Message | None = None
        self._number = 0
        self._identity: EventId | None = None
        self._is_over = False

    async def send(self, message: Message) -> None:
        if not self._asked.has_ids:
            await self._send(message)
        elif message["type"] == "http.response.start":
            await self._begin(message)
        elif message["type"] == "http.response.body" and self._start is not None:
            await self._send({**message, "body": self._numbered(message.get("body", b""))})
        else:
            await self._send(message)

    async def _begin(self, message: Message) -> None:
        content_type = Headers(raw=message["headers"]).get("content-type", "")
        if content_type.startswith("text/event-stream"):
            self._start = message
            MutableHeaders(scope=message)[WANTED_HEADER] = "1"
        await self._send(message)

    def _numbered(self, body: bytes) -> bytes:
        if body == PING:
            return body
        return b"".join(self._event(event + b"\n\n") for event in body.split(b"\n\n") if event)

    def _event(self, event: bytes) -> bytes:
        content: dict[str, Any] | None = None
        if event != DONE:
            content = json.loads(event[len(b"data: ") :])
            if content is not None and "error" in content:
                # Without an id: who comes back goes on after what came before it.
                return event
        identity = self._identity or self._identify(content or {})
        if self._is_over or identity is None:
            is_first, self._is_over = not self._is_over, True
            error = ApiError(409, "model_changed", "Another model is served now; this answer cannot go on with it.")
            return frame(error.body()) if is_first else b""
        self._identity = identity
        self._number += 1
        if self._asked.after is not None and self._number <= self._asked.after.number:
            return b""
        if content is not None:
            event = frame(self._as_before(content))
        told = dataclasses.replace(identity, number=self._number)
        return b"id: " + str(told).encode() + b"\n" + event

    def _identify(self, content: dict[str, Any]) -> EventId | None:
        """Who this stream is, by its first event; None where it is not the one that the client began."""
        model = str(content.get("system_fingerprint") or content.get("fingerprint") or "")
        digest = hashlib.blake2b(model.encode(), digest_size=8).hexdigest()
        after = self._asked.after
        if after is None:
            answer, created = str(content.get("id", "")), int(content.get("created", time.time()))
            return EventId(0, self._asked.seed, created, answer, digest, self._asked.body)
        return after if after.model == digest else None

    def _as_before(self, content: dict[str, Any]) -> dict[str, Any]:
        identity = self._identity
        if self._asked.after is None or identity is None:
            return content
        as_before = dict(content)
        # A token of /generate has an id too, which is a number.
        if isinstance(content.get("id"), str):
            as_before["id"] = identity.answer
        if "created" in content:
            as_before["created"] = identity.created
        return as_before


def _is_one_answer(content: dict[str, Any]) -> bool:
    """Several at once come in any order, so that a number would say nothing."""
    prompt = content.get("prompt")
    several = isinstance(prompt, list) and len(prompt) > 1 and not all(isinstance(token, int) for token in prompt)
    return content.get("stream") is True and content.get("n") in (None, 1) and not several
