# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Section 7: what lies under /bootstrap, and that the token alone opens it."""

from __future__ import annotations

import base64
import hashlib
import json
import re

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from .clusters import Cluster
from .lines import contract
from .site import TOKEN

NONCE_BYTES = 12
FILES = 11


def decrypt(value: bytes, password: str) -> dict[str, dict[str, str]]:
    """Open a bootstrap value as the contract describes it."""
    salt, _colon, sealed = value.decode().partition(":")
    key = hashlib.pbkdf2_hmac("sha1", password.encode(), salt.encode(), 4096, 32)
    raw = base64.b64decode(sealed)
    return dict(json.loads(AESGCM(key).decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], None)))


@contract("7", "S")
def test_the_value_is_a_salt_and_what_the_password_encrypts(main: Cluster) -> None:
    value = main.store.value(main.store.keys("/bootstrap/")[0])
    assert re.fullmatch(rb"[0-9a-f]{16}:[A-Za-z0-9+/=_-]+", value.strip()), value[:60]
    assert decrypt(value, TOKEN)


@contract("7", "S")
def test_it_holds_every_authority_and_each_with_its_time(main: Cluster) -> None:
    opened = decrypt(main.store.value(main.store.keys("/bootstrap/")[0]), TOKEN)
    assert len(opened) >= FILES, sorted(opened)
    for name, entry in opened.items():
        assert {key.lower() for key in entry} >= {"content", "timestamp"}, name
    whole = json.dumps(opened)
    for file in (
        "tls/server-ca.crt",
        "tls/client-ca.key",
        "tls/service.key",
        "cred/passwd",
        "cred/encryption-config.json",
    ):
        content = main.first.run(f"base64 -w0 /var/lib/rancher/k3s/server/{file}").strip()
        text = json.dumps(base64.b64decode(content).decode())[1:-1]
        assert content in whole or text in whole, file


@contract("7", "S")
def test_nobody_reads_it_without_the_password(main: Cluster) -> None:
    value = main.store.value(main.store.keys("/bootstrap/")[0])
    assert b"PRIVATE KEY" not in value
    assert TOKEN.encode() not in value
