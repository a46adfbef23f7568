# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""Every refusal and failure that a client may see, in the one shape that OpenAI's clients read."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from holdfast_inference import words

RETRY_AFTER_LEAST, RETRY_AFTER_MOST = 1, 30
"""Seconds. Clients give up where they are told to wait much longer, and hammer where they are told nothing."""

_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
_STATUS_OF_REFUSAL: Mapping[words.RefusalCode, tuple[int, str]] = {
    "unknown_model": (404, "model_not_found"),
    "context_length_exceeded": (400, "context_length_exceeded"),
    "invalid_value": (400, "invalid_value"),
    "invalid_grammar": (422, "invalid_grammar"),
    "queue_full": (429, "queue_full"),
    "draining": (503, "draining"),
    "deadline_exceeded": (408, "deadline_exceeded"),
    "duplicate_request": (409, "duplicate_request"),
}
# Clients repeat a request after these statuses by themselves; here that could not help.
_POINTLESS_TO_REPEAT = {"deadline_exceeded", "duplicate_request"}
_WAITS_BY_DEFAULT = {429, 503}


class ApiError(Exception):
    """An answer with a status of 400 or more. Raise it anywhere; the outermost layer turns it into a response."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        param: str | None = None,
        retry_after: float | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.param = param
        self.retry_after = retry_after
        self._headers = dict(headers or {})

    @classmethod
    def of(cls, refused: words.Refused) -> ApiError:
        """What a client is told when the engine refused."""
        status, code = _STATUS_OF_REFUSAL[refused.code]
        return cls(status, code, refused.message, param=refused.param, retry_after=refused.retry_after)

    def body(self) -> dict[str, Any]:
        """The error as JSON, for a response of its own or as the last event of a stream."""
        kind = _TYPES.get(self.status, "server_error" if self.status >= 500 else "invalid_request_error")
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}

    def headers(self) -> dict[str, str]:
        """What the status needs beside the body: when to come back, or that there is no use in it."""
        headers = dict(self._headers)
        if self.status == 401:
            headers.setdefault("WWW-Authenticate", "Bearer")
        if self.retry_after is not None or self.status in _WAITS_BY_DEFAULT:
            headers["Retry-After"] = str(retry_after_seconds(self.retry_after))
        if self.code in _POINTLESS_TO_REPEAT:
            headers["x-should-retry"] = "false"
        return headers

    def response(self) -> JSONResponse:
        """The error as a whole response."""
        return JSONResponse(self.body(), self.status, headers=self.headers())


def told_of(error: Exception) -> ApiError:
    """What a client is told of anything that was raised; what nobody foresaw is a fault of ours."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, words.Refused):
        return ApiError.of(error)
    if not isinstance(error, HTTPException):
        return internal()
    headers = dict(error.headers or {})
    if error.status_code == 405:
        message = f"This method is not possible here; allowed: {headers.get('Allow', 'others')}."
        return ApiError(405, "method_not_allowed", message, headers=headers)
    if error.status_code == 404:
        return ApiError(404, "not_found", "There is nothing at this path.")
    return ApiError(error.status_code, "http_error", str(error.detail), headers=headers)


def is_foreseen(error: Exception) -> bool:
    """Whether an error says itself what a client is told, so that it needs no traceback in the log."""
    return isinstance(error, ApiError | words.Refused | HTTPException)


def retry_after_seconds(wanted: float | None) -> int:
    """A whole number of seconds that every client accepts."""
    if wanted is None or math.isnan(wanted):
        return RETRY_AFTER_LEAST
    return math.ceil(min(max(wanted, RETRY_AFTER_LEAST), RETRY_AFTER_MOST))


def internal(
    message: str = "The server failed while it worked on this request. The request may be sent again.",
) -> ApiError:
    """A fault of ours. What exactly went wrong is in the log, not in the answer."""
    return ApiError(500, "internal_error", message)


def invalid(message: str, param: str | None = None, code: str = "invalid_value") -> ApiError:
    """A request that says something impossible."""
    return ApiError(400, code, message, param=param)


def too_long(context: int, what: str, param: str) -> ApiError:
    """More than a model takes. The message begins as OpenAI's does: some clients (LiteLLM) know the case by that alone,
    and then shorten the chat or ask a larger model."""
    message = f"This model's maximum context length is {context} tokens; {what}."
    return ApiError(400, "context_length_exceeded", message, param=param)


def unsupported(message: str, param: str | None = None) -> ApiError:
    """A request that is well formed and asks for what this server does not do."""
    return ApiError(422, "unsupported_value", message, param=param)
