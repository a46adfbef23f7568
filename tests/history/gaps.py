# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long nothing was acknowledged, and percentiles of several such gaps."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from .model import Kind, Operation, Outcome


def longest_gap(moments: Iterable[float], since: float, until: float) -> float:
    """The longest time without a success in the window; its ends count as successes of their own."""
    return longest_silence(moments, since, until)[0]


def longest_silence(moments: Iterable[float], since: float, until: float) -> tuple[float, float]:
    """The same, and how long after the window's begin it began."""
    inside = sorted(moment for moment in moments if since <= moment <= until)
    points = [since, *inside, until]
    return max((later - earlier, earlier - since) for earlier, later in zip(points, points[1:], strict=False))


def acknowledged(history: Iterable[Operation]) -> list[float]:
    """When each write was acknowledged."""
    return [one.end for one in history if one.kind is not Kind.GET and one.outcome is Outcome.OK]


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of all does not exceed (nearest rank)."""
    ranked = sorted(values)
    if not ranked:
        raise ValueError("there is no percentile of nothing")
    return ranked[max(0, math.ceil(share * len(ranked)) - 1)]
