# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""One attempt at an answer, at one node. Its epoch says whether what it brings still counts."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable
from typing import Any

import httpx

from holdfast_inference import words
from holdfast_inference.gateway.nodes import Node
from holdfast_inference.gateway.wire import BadWire, event_of, lines_of, parse_frame

log = logging.getLogger(__name__)

# The request is at fault, so no other node would answer it either.
_FAULTS_OF_THE_REQUEST: dict[str, words.RefusalCode] = {
    "context_length_exceeded": "context_length_exceeded",
    "invalid_value": "invalid_value",
    "invalid_type": "invalid_value",
    "invalid_grammar": "invalid_grammar",
    "deadline_exceeded": "deadline_exceeded",
}
# The node says itself that it stops; that is nobody's fault.
_LEAVING = frozenset({"draining", "cancelled", "stopping", "loading"})
# Said by something between here and the node: it got no answer from there, for whatever reason.
_FROM_BETWEEN = frozenset({502, 504})
TOO_LATE = "The time that this request was given is over."


class Failed(Exception):  # noqa: N818 - how an attempt ends, which is expected and moves the answer on
    """This attempt is over without an end; `crash` says whether the request may be to blame, `silence` that the node
    may only have been slow."""

    def __init__(
        self, reason: str, *, crash: bool = False, silence: bool = False, retry_after: float | None = None
    ) -> None:
        super().__init__(reason)
        self.crash = crash
        self.silence = silence
        self.retry_after = retry_after


class Attempt:
    """Run it once, in a task of its own."""

    def __init__(
        self, node: Node, epoch: int, cost: int, *, suspect: bool, take: Callable[[Attempt, words.Event], None]
    ) -> None:
        self.node = node
        self.epoch = epoch
        self.cost = cost
        self.suspect = suspect
        self.drew = 0
        self.digest: str | None = None
        self.fingerprint: str | None = None
        self.heard_at = time.monotonic()
        self._take = take
        self._cut: Failed | None = None
        self._is_over = False
        self._is_ended = False
        self._asking: asyncio.Task[None] | None = None
        self.task: asyncio.Task[None] | None = None
        """The one that runs it."""

    def quiet_for(self, now: float) -> float:
        """Seconds since anything came from the node for it."""
        return now - self.heard_at

    def cut(self, reason: str) -> None:
        """Wait no longer: the node is taken for dead."""
        if self._asking is not None and self._cut is None:
            self._cut = Failed(reason, crash=True, silence=True)
            self._end()

    def _end(self) -> None:
        """At most once, and not when it ends by itself: a connection whose closing is cancelled stays with its request
        in the client's pool for ever."""
        if self._asking is not None and not self._is_ended:
            self._is_ended = True
            self._asking.cancel()

    async def run(
        self, client: httpx.AsyncClient, body: dict[str, Any], headers: dict[str, str], timeout: httpx.Timeout
    ) -> None:
        """Returns after the Finish was taken; raises Failed, or Refused where another node could not help."""
        self.task = asyncio.current_task()
        self._asking = asyncio.create_task(self._ask(client, body, headers, timeout))
        try:
            await asyncio.shield(self._asking)
        except words.Refused:
            raise
        except Failed as failed:
            if self._is_over:
                return
            if failed.crash:
                self.node.fallen.append((time.monotonic(), self))
            raise
        except asyncio.CancelledError:
            if self._cut is None:
                self._end()
                raise
            if self._is_over:
                return
            self.node.fallen.append((time.monotonic(), self))
            raise self._cut from None
        except Exception as error:
            # Whatever it is, it is this attempt's, and another node may do better.
            log.exception("asking a node failed", extra={"node": self.node.name})
            if not self._is_over:
                raise Failed(f"asking it failed: {type(error).__name__}") from error

    async def _ask(
        self, client: httpx.AsyncClient, body: dict[str, Any], headers: dict[str, str], timeout: httpx.Timeout
    ) -> None:
        url = f"{self.node.member.url}/generate"
        try:
            async with client.stream("POST", url, json=body, headers=headers, timeout=timeout) as response:
                self.heard_at = time.monotonic()
                if response.status_code != 200:
                    await response.aread()
                    raise refusal(response)
                await self._read(response)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            # It never had the request, which is therefore not to blame.
            raise Failed(f"it cannot be reached: {type(error).__name__}") from error
        except httpx.HTTPError as error:
            silence = isinstance(error, httpx.TimeoutException)
            raise Failed(f"it broke off: {type(error).__name__}", crash=True, silence=silence) from error
        except BadWire as error:
            raise Failed(f"it does not make sense: {error}") from error

    async def _read(self, response: httpx.Response) -> None:
        async for line in lines_of(response.aiter_bytes()):
            self.heard_at = time.monotonic()
            content = parse_frame(line)
            if content is None:
                continue
            if "error" in content:
                raise _failure(content["error"])
            if "digest" in content:
                self.digest, self.fingerprint = content["digest"], content.get("fingerprint")
                continue
            event = event_of(content)
            if isinstance(event, words.Token):
                self.drew += 1
                self.node.drawn += 1
            self._take(self, event)
            if isinstance(event, words.Finish):
                # Nothing that still goes wrong changes the answer.
                self._is_over = self._is_ended = True
                return
        raise Failed("its stream ended without an end", crash=True)


def _failure(error: Any) -> Exception:
    """An error within a stream."""
    code = str(error.get("code")) if isinstance(error, dict) else None
    if code == "deadline_exceeded":
        return words.Refused("deadline_exceeded", TOO_LATE)
    return Failed(f"it says {code}", crash=code not in _LEAVING)


def refusal(response: httpx.Response) -> Exception:
    """An error instead of a stream."""
    try:
        error = json.loads(response.content)["error"]
        code, message, param = str(error["code"]), str(error["message"]), error.get("param")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        between = response.status_code in _FROM_BETWEEN
        return Failed(f"status {response.status_code}", crash=between or response.status_code == 500, silence=between)
    if code in _FAULTS_OF_THE_REQUEST:
        return words.Refused(_FAULTS_OF_THE_REQUEST[code], message, param=param)
    waits = response.headers.get("retry-after", "")
    wait = float(waits) if response.status_code == 429 and waits.isdecimal() else None
    return Failed(f"it says {code}", crash=code == "internal_error", retry_after=wait)
