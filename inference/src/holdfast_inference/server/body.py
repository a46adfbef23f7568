# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""Reading a request's body: bounded in bytes, in time and in depth, before anything is made of it."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

from starlette.requests import Request
from starlette.types import Receive

from holdfast_inference.server.errors import ApiError, invalid
from holdfast_inference.server.settings import Limits

# Escapes that are half a character unless they come in pairs.
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


class ClientGone(Exception):  # noqa: N818 - nobody is left to whom it would be an error
    """The client went away before it had an answer."""


async def read_body(request: Request, limits: Limits) -> Any:
    """What the body says, as JSON."""
    encoding = request.headers.get("content-encoding", "identity")
    if encoding.lower() != "identity":
        raise ApiError(415, "unsupported_encoding", f"Bodies must not be compressed; this one says {encoding[:40]}.")
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limits.body_bytes:
        raise _too_large(limits)
    try:
        async with asyncio.timeout(limits.body_seconds):
            body = await _read(request.receive, limits)
    except TimeoutError:
        message = f"The body did not arrive within {limits.body_seconds:g} seconds."
        raise ApiError(408, "body_timeout", message, headers={"Connection": "close"}) from None
    return parse(body, limits.json_depth)


async def _read(receive: Receive, limits: Limits) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        part: bytes = message.get("body", b"")
        size += len(part)
        if size > limits.body_bytes:
            raise _too_large(limits)
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)


def _too_large(limits: Limits) -> ApiError:
    message = f"The body is larger than {limits.body_bytes} bytes, which is this server's limit."
    return ApiError(413, "body_too_large", message, headers={"Connection": "close"})


def parse(body: bytes, depth: int) -> Any:
    """JSON as its standard has it: UTF-8, no NaN, no infinity, no number beyond a double, bounded depth."""
    try:
        value = json.loads(body.decode("utf-8"), parse_constant=_no_constant, parse_float=_finite)
    except UnicodeDecodeError as error:
        raise invalid(f"The body is not UTF-8: byte {error.start} is wrong.", code="invalid_json") from None
    except RecursionError:
        raise _too_deep(depth) from None
    except ValueError as error:
        raise invalid(f"The body is not JSON: {error}.", code="invalid_json") from None
    if is_deeper(value, depth):
        raise _too_deep(depth)
    if _SURROGATE.search(body):
        _check_characters(value)
    return value


def _too_deep(depth: int) -> ApiError:
    return invalid(f"The body is nested deeper than {depth} levels, which is this server's limit.", code="too_deep")


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")


def _finite(digits: str) -> float:
    value = float(digits)
    if value in (float("inf"), float("-inf")):
        raise ValueError(f"{digits[:40]} is beyond the range of a number")
    return value


def _check_characters(value: Any) -> None:
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise invalid(
            "The body has half a character: a surrogate without its other half.", code="invalid_json"
        ) from None


def is_deeper(value: Any, depth: int) -> bool:
    """Whether containers are nested more than `depth` levels; without recursion, since that is what it guards."""
    level = [value]
    for _ in range(depth):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer if isinstance(outer, list) else ())
            if isinstance(inner, dict | list)
        ]
        if not level:
            return False
    return True
