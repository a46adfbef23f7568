# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""One request and its response, as logs and metrics see them: filled in along the way, read once at the end."""

from __future__ import annotations

import re
import time
import uuid
from dataclasses import dataclass, field

from starlette.datastructures import Headers
from starlette.requests import Request

from holdfast_inference.server.keys import ANONYMOUS, Key
from holdfast_inference.server.trace import Trace, trace_of

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")


@dataclass
class Exchange:
    """What is known of a request so far. Texts are not part of it."""

    id: str
    trace: Trace
    begun: float = field(default_factory=time.monotonic)
    key: Key = ANONYMOUS
    route: str = ""
    """The path's pattern; empty where no route fits, so that strangers cannot make up label values."""
    status: int = 0
    model: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    first_token_seconds: float | None = None
    finish_reasons: list[str] = field(default_factory=list)
    error: str = ""
    """The code of an error, also of one inside a stream that began with status 200."""
    client_gone: bool = False
    unknown_fields: int = 0

    @classmethod
    def begin(cls, headers: Headers, share: float = 0.0) -> Exchange:
        """A request that just came in; `share` of those without a trace get one that is kept."""
        offered = headers.get("x-request-id", "")
        chosen = offered if _REQUEST_ID.fullmatch(offered) else f"req-{uuid.uuid4().hex}"
        state = ",".join(headers.getlist("tracestate"))
        return cls(chosen, trace_of(headers.get("traceparent"), share, state))


def exchange_of(request: Request) -> Exchange:
    """The exchange that the outermost layer has begun."""
    exchange: Exchange = request.scope["state"]["exchange"]
    return exchange
