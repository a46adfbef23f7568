# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""How hot the machine is, by the kernel's thermal zones."""

from __future__ import annotations

from pathlib import Path


def hottest(zones: Path) -> float | None:
    """The highest temperature of all zones in degrees Celsius; None where there is none to read."""
    degrees: list[float] = []
    for path in zones.glob("thermal_zone*/temp"):
        try:
            degrees.append(int(path.read_text(encoding="ascii")) / 1000)
        except (OSError, ValueError):
            # A zone may be listed and not be readable; the others still tell.
            continue
    return max(degrees, default=None)
