# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a token names the datastore's key."""

from __future__ import annotations

import hashlib

from ansible_collections.holdfast.edge.plugins.module_utils._k3s_token import digest, password

FULL = f"K10{'a' * 64}::server:secret"


def test_short_and_full_forms_are_the_same_token() -> None:
    assert password(FULL) == password("secret\n") == "secret"
    assert digest(FULL) == digest("secret") == hashlib.sha256(b"secret").hexdigest()[:12]


def test_a_password_that_looks_a_little_like_a_full_token_stays_whole() -> None:
    assert password("K10abc::server:secret") == "K10abc::server:secret"
