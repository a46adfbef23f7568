# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""AWS Signature Version 4 for S3: a request is signed by what it is, and the secret key never leaves the machine."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

ALGORITHM = "AWS4-HMAC-SHA256"
NOTHING_SHA256 = hashlib.sha256(b"").hexdigest()
STAMP = "%Y%m%dT%H%M%SZ"


@dataclass(frozen=True)
class Keys:
    """Who signs, and where the bucket is."""

    access_key: str
    secret_key: str
    region: str = "us-east-1"
    service: str = "s3"

    def __repr__(self) -> str:
        return f"Keys({self.access_key!r}, {self.region!r})"


def quoted_path(path: str) -> str:
    """A path as it is sent and signed: every byte but letters, digits and -._~/ as %XX."""
    return quote(path, safe="/-._~")


def quoted_query(query: Sequence[tuple[str, str]]) -> str:
    """The query in the order that is signed."""
    return "&".join(sorted(f"{quote(name, safe='-._~')}={quote(value, safe='-._~')}" for name, value in query))


def canonical_request(
    method: str, path: str, query: Sequence[tuple[str, str]], headers: Mapping[str, str], payload_sha256: str
) -> tuple[str, str]:
    """The text that stands for the request, and the names of the headers in it."""
    plain = {name.lower().strip(): " ".join(value.split()) for name, value in headers.items()}
    names = ";".join(sorted(plain))
    lines = [method, quoted_path(path), quoted_query(query)]
    lines += [f"{name}:{plain[name]}" for name in sorted(plain)]
    return "\n".join([*lines, "", names, payload_sha256]), names


def signing_key(keys: Keys, day: str) -> bytes:
    """The key of one day, region and service."""
    key = f"AWS4{keys.secret_key}".encode()
    for part in (day, keys.region, keys.service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key


def authorization(
    keys: Keys,
    method: str,
    path: str,
    query: Sequence[tuple[str, str]],
    headers: Mapping[str, str],
    payload_sha256: str,
    stamp: str,
) -> str:
    """The Authorization header; `headers` must hold all that is signed, host and x-amz-date among them."""
    request, names = canonical_request(method, path, query, headers, payload_sha256)
    scope = f"{stamp[:8]}/{keys.region}/{keys.service}/aws4_request"
    text = "\n".join([ALGORITHM, stamp, scope, hashlib.sha256(request.encode()).hexdigest()])
    signature = hmac.new(signing_key(keys, stamp[:8]), text.encode(), hashlib.sha256).hexdigest()
    return f"{ALGORITHM} Credential={keys.access_key}/{scope},SignedHeaders={names},Signature={signature}"
