# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""W3C trace context: whose request this is part of, and our own place in it."""

from __future__ import annotations

import random
import re
import secrets
from contextvars import ContextVar
from dataclasses import dataclass

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_TRACESTATE = re.compile(r"[\x20-\x7e]{1,512}")


@dataclass(frozen=True)
class Trace:
    """The place of one piece of work in a trace."""

    trace_id: str
    span_id: str
    parent_id: str | None
    sampled: bool
    state: str = ""
    """What other systems of the trace told each other (`tracestate`); passed on as it came."""

    @property
    def header(self) -> str:
        """The header for whoever works on our behalf, and for the one who asked."""
        return f"00-{self.trace_id}-{self.span_id}-{'01' if self.sampled else '00'}"


CURRENT: ContextVar[Trace | None] = ContextVar("trace", default=None)
"""The trace of the request that is being worked on, for whoever asks others on its behalf."""


def trace_of(header: str | None, share: float = 0.0, state: str = "") -> Trace:
    """Continues the trace of a header. One that is not valid begins a new trace, as the standard asks; of those that
    begin here, this share is kept."""
    found = _TRACEPARENT.fullmatch(header.strip()) if header else None
    if found:
        version, trace_id, parent_id, flags, more = found.groups()
        known_shape = version != "ff" and (version != "00" or more is None)
        if known_shape and int(trace_id, 16) and int(parent_id, 16):
            kept = state if _TRACESTATE.fullmatch(state) else ""
            return Trace(trace_id, secrets.token_hex(8), parent_id, bool(int(flags, 16) & 1), kept)
    return Trace(secrets.token_hex(16), secrets.token_hex(8), None, random.random() < share)
