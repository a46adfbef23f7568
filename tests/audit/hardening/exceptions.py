# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controls that a hardened node does not meet, by id. docs/hardening.md has the reason of each; a test compares."""

from __future__ import annotations

EXCEPTIONS = frozenset(
    {
        "package-07",
        "package-08",
        "sysctl-02",
        "sysctl-07",
        "sshd-19",
    }
)
