# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One HTTP exchange, and the judgement whether a failure may pass by itself."""

from __future__ import annotations

import http.client
import socket
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import IO, Any

from .errors import BundleError

AGENT = "holdfast-bundle"


class PassingError(Exception):
    """A failure that may be gone at the next try."""


class Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but never from https to an unprotected address."""

    max_redirections = 8

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        if req.full_url.startswith("https:") and not newurl.startswith("https:"):
            raise BundleError(f"{req.full_url} sends on to the unprotected address {newurl}; that was refused.")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def mirrored(url: str, mirror: Mapping[str, str]) -> str:
    """The address to use when some prefixes are served by a mirror; the longest prefix wins."""
    for prefix in sorted(mirror, key=len, reverse=True):
        if url.startswith(prefix):
            return mirror[prefix] + url[len(prefix) :]
    return url


def exchange(url: str, timeout: float, headers: Mapping[str, str] | None = None, method: str = "GET") -> Any:
    """Open an address. Raises PassingError for what may pass, BundleError for what will not."""
    request = urllib.request.Request(
        url, headers={"User-Agent": AGENT, "Accept-Encoding": "identity", **(headers or {})}, method=method
    )
    try:
        return urllib.request.build_opener(Redirects()).open(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code >= 500 or error.code in (408, 425, 429):
            raise PassingError(f"the server answered {error.code}") from error
        if 300 <= error.code < 400:
            raise BundleError(f"{url} redirects in a circle or too often; that was refused.") from error
        if error.code == 416:
            raise RangeError from error
        raise BundleError(
            f"{url} answered {error.code} {error.reason}. Check the address, or the mirror if one is set."
        ) from error
    except urllib.error.URLError as error:
        if isinstance(error.reason, ssl.SSLCertVerificationError):
            raise BundleError(
                f"The certificate of {url} is not trusted here: {error.reason.verify_message}."
            ) from error
        raise PassingError(str(error.reason)) from error
    except (OSError, http.client.HTTPException, socket.timeout) as error:
        raise PassingError(str(error) or type(error).__name__) from error
    except ValueError as error:
        raise BundleError(f"{url} is not an address that can be opened: {error}.") from error


class RangeError(Exception):
    """The server does not have the range that was asked for."""


def size_of(url: str, timeout: float = 10.0) -> int | None:
    """How large the server says a file is, or None where it does not say."""
    try:
        with exchange(url, timeout, method="HEAD") as answer:
            length = answer.headers.get("Content-Length")
    except (PassingError, RangeError, BundleError):
        return None
    return int(length) if length and length.isdigit() else None
