# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A client as a careful one is written: it has an id for each request, notices silence, and asks again."""

from __future__ import annotations

import http.client
import json
import ssl
import threading
import time
import urllib.parse
from dataclasses import dataclass, field

from .questions import Question

AGAIN_SECONDS = 0.1
LONGEST_WAIT_SECONDS = 5.0
PING_MILLISECONDS = 250
CLOSED = "a connection that was closed"
CONNECTING = (OSError, http.client.HTTPException)


class RefusedError(Exception):
    """The site said that it cannot now; after so many seconds it may be asked again."""

    def __init__(self, status: int, seconds: float, text: str) -> None:
        super().__init__(f"HTTP {status}: {text[:200]}")
        self.seconds = seconds


class WrongError(Exception):
    """An answer that no repetition makes right."""


@dataclass
class Answer:
    """One request, as its client saw it. Times are seconds of the machine's clock."""

    question: Question
    begun: float
    ended: float = 0.0
    texts: dict[int, str] = field(default_factory=dict)
    reasons: dict[int, str] = field(default_factory=dict)
    tries: int = 0
    event_id: str = ""
    """Of the event of a stream that was taken last."""
    moved: float = 0.0
    """When something of a stream came last."""
    pause: float = 0.0
    """The longest that a stream stood still once it had begun, also where it went on by another connection."""
    error: str = ""
    last_error: str = ""

    @property
    def seconds(self) -> float:
        return self.ended - self.begun

    @property
    def told(self) -> tuple[tuple[str, str], ...]:
        """Text and reason of each choice."""
        return tuple((self.texts[index], self.reasons.get(index, "")) for index in sorted(self.texts))


class Client:
    """Asks one site. Each thread has a connection of its own, which it keeps."""

    def __init__(self, url: str, key: str, authority: str, silence_seconds: float, patience_seconds: float) -> None:
        self._url = urllib.parse.urlsplit(url)
        self._key = key
        self._context = ssl.create_default_context(cafile=authority or None) if self._url.scheme == "https" else None
        self._silence = silence_seconds
        self._patience = patience_seconds
        self._own = threading.local()

    def ask(self, question: Question, name: str, begun: float) -> Answer:
        """Ask until there is an answer, or until patience ends."""
        answer = Answer(question, begun)
        while True:
            answer.tries += 1
            wait = AGAIN_SECONDS
            try:
                self._once(answer, name)
                self._own.used = True
                answer.ended = time.time()
                return answer
            except WrongError as error:
                return _given_up(answer, str(error))
            except RefusedError as error:
                wait, answer.last_error = min(error.seconds, LONGEST_WAIT_SECONDS), str(error)
            except CONNECTING as error:
                answer.last_error = _in_words(error)
            except (ValueError, LookupError, TypeError) as error:
                # Else its thread would end with it, and a request that nobody counts looks like none that failed.
                return _given_up(answer, f"an answer that makes no sense ({type(error).__name__}: {error})")
            if self._forget() and answer.last_error == CLOSED:
                # The server may have closed what was not used for a while; that is no reason to wait.
                wait = 0.0
            if time.time() + wait - begun > self._patience:
                return _given_up(answer, answer.last_error)
            time.sleep(wait)

    def _once(self, answer: Answer, name: str) -> None:
        """Ask once, for what is still missing."""
        if not answer.event_id:
            answer.texts.clear()
            answer.reasons.clear()
        headers = {
            "Authorization": f"Bearer {self._key}",
            "Content-Type": "application/json",
            "Idempotency-Key": name,
            "X-Holdfast-Event-Ids": "1",
            "X-Holdfast-Ping-Ms": str(PING_MILLISECONDS),
        }
        if answer.event_id:
            headers["Last-Event-ID"] = answer.event_id
        connection = self._connection()
        connection.request("POST", "/v1/chat/completions", answer.question.body, headers)
        response = connection.getresponse()
        if response.status != http.client.OK:
            text = response.read().decode(errors="replace")
            if response.status in (429, 502, 503, 504):
                raise RefusedError(response.status, _seconds(response.getheader("Retry-After")), text)
            raise WrongError(f"HTTP {response.status}: {text[:200]}")
        if answer.question.stream:
            _follow(response, answer)
        else:
            for choice in json.loads(response.read())["choices"]:
                answer.texts[choice["index"]] = choice["message"]["content"]
                answer.reasons[choice["index"]] = choice["finish_reason"]

    def _connection(self) -> http.client.HTTPConnection:
        kept: http.client.HTTPConnection | None = getattr(self._own, "connection", None)
        if kept is None:
            host, port = self._url.hostname or "", self._url.port
            kept = (
                http.client.HTTPSConnection(host, port, timeout=self._silence, context=self._context)
                if self._context
                else http.client.HTTPConnection(host, port, timeout=self._silence)
            )
            self._own.connection = kept
        return kept

    def _forget(self) -> bool:
        """Let the connection go; whether it had been used before."""
        kept, used = getattr(self._own, "connection", None), getattr(self._own, "used", False)
        if kept is not None:
            kept.close()
        self._own.connection, self._own.used = None, False
        return bool(used)


def _follow(response: http.client.HTTPResponse, answer: Answer) -> None:
    """Take the events of a stream to its end."""
    event_id = ""
    for raw in response:
        line = raw.decode().rstrip("\r\n")
        if line.startswith("id:"):
            event_id = line[3:].strip()
        elif line.startswith("data:"):
            content = line[5:].strip()
            if content == "[DONE]":
                # To its very end, so that the connection can be used again.
                response.read()
                return
            _take(json.loads(content), answer)
            answer.event_id = event_id
            now = time.time()
            answer.pause = max(answer.pause, now - answer.moved if answer.moved else 0.0)
            answer.moved = now
    raise http.client.IncompleteRead(b"")


def _take(chunk: dict[str, object], answer: Answer) -> None:
    if "error" in chunk:
        raise OSError(f"the stream told of an error: {chunk['error']}")
    choices = chunk["choices"]
    for choice in choices if isinstance(choices, list) else []:
        index = choice["index"]
        if index in answer.reasons:
            raise WrongError(f"choice {index} went on after its end")
        answer.texts[index] = answer.texts.get(index, "") + (choice["delta"].get("content") or "")
        if choice["finish_reason"]:
            answer.reasons[index] = choice["finish_reason"]


def _in_words(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "silence"
    if isinstance(error, ConnectionRefusedError):
        return "a refused connection"
    if isinstance(error, (ConnectionError, ssl.SSLEOFError, http.client.IncompleteRead)):
        return CLOSED
    return f"{type(error).__name__}: {error}"


def _given_up(answer: Answer, error: str) -> Answer:
    answer.ended, answer.error = time.time(), error
    return answer


def _seconds(header: str | None) -> float:
    try:
        return max(AGAIN_SECONDS, float(header or 1))
    except ValueError:
        return 1.0
