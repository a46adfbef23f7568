# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""Who may ask what, decided from the headers alone: a request without a key costs no more than its headers."""

from __future__ import annotations

import base64

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from holdfast_inference.server.errors import ApiError
from holdfast_inference.server.exchange import Exchange
from holdfast_inference.server.keys import ANONYMOUS, Key, KeyFile
from holdfast_inference.server.settings import Access

OPEN_PATHS = frozenset({"/health/live", "/health/ready", "/v2/health/live", "/v2/health/ready"})
PAGE = "/status"
METRICS_PATHS = frozenset({"/metrics", "/metrics/summary", PAGE})


class Guard:
    """Deny by default: a path that is not named here needs a key that may ask for answers."""

    def __init__(self, app: ASGIApp, access: Access, keys: KeyFile | None) -> None:
        self._app = app
        self._access = access
        self._keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in OPEN_PATHS:
            exchange: Exchange = scope["state"]["exchange"]
            exchange.key = self._admit(scope)
        await self._app(scope, receive, send)

    def _admit(self, scope: Scope) -> Key:
        peer = scope["state"].get("peer")
        if self._access.client_authority is not None and peer is None:
            raise ApiError(401, "client_certificate_required", "This server asks for a client certificate.")
        if self._keys is None:
            if self._access.client_authority is None and not self._access.anonymous:
                raise ApiError(401, "invalid_api_key", "This server has no keys, so nobody may ask.")
            return Key(str(peer), "") if peer else ANONYMOUS
        key = self._keys.find(_offered(Headers(scope=scope)))
        if key is None:
            message = "The API key is missing or wrong. Send it as 'Authorization: Bearer <key>' or 'x-api-key: <key>'."
            raise ApiError(401, "invalid_api_key", message, headers=_challenge(scope))
        wanted = "metrics" if scope["path"] in METRICS_PATHS else "answers"
        if wanted not in key.scopes:
            raise ApiError(403, "insufficient_permissions", f"The key {key.name} may not ask for {wanted}.")
        return key


def _challenge(scope: Scope) -> dict[str, str]:
    """How to show a key. A browser that opens the page for people asks for it as a password."""
    return (
        {"WWW-Authenticate": 'Basic realm="holdfast: any name, and a key as the password"'}
        if scope["path"] == PAGE
        else {}
    )


def _offered(headers: Headers) -> str:
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    if scheme.lower() == "basic":
        return _password(token)
    return headers.get("x-api-key", "").strip()


def _password(token: str) -> str:
    try:
        return base64.b64decode(token, validate=True).decode("utf-8").partition(":")[2]
    except (ValueError, UnicodeDecodeError):
        return ""
