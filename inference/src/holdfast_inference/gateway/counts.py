# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""What a gateway counts of its own, beside what the server in front of it measures."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Counts:
    """All of it only grows."""

    moved: int = 0
    """Attempts that ended before their answer did, so that another node was asked."""
    crashes: int = 0
    """Those of them for which the request may have been to blame."""
    dropped: int = 0
    """Events that came with an epoch that was over."""
    hedged: int = 0
    hedges_won: int = 0
    shed: int = 0
    """Requests that were refused since the site could not do them with a node less."""
