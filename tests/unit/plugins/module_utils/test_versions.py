# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Versions are ordered as their makers mean it."""

from __future__ import annotations

import pytest
from ansible_collections.holdfast.edge.plugins.module_utils._versions import version_key


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        ("1.9.0", "1.10.0"),
        ("1.36.4+k3s1", "1.36.4+k3s2"),
        ("1.36.4+k3s9", "1.36.4+k3s10"),
        ("1.36.4-rc1+k3s1", "1.36.4+k3s1"),
        ("1.36.4-rc2", "1.36.4-rc10"),
        ("v1.35.8+k3s1", "1.36.0+k3s1"),
        ("3.6", "3.6.1"),
    ],
)
def test_the_newer_one_is_greater(older: str, newer: str) -> None:
    assert version_key(older) < version_key(newer)
    assert max([newer, older], key=version_key) == newer
