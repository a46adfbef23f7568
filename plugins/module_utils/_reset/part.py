# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every part of a reset is: something that can be looked at and cleared."""

from __future__ import annotations

from typing import Protocol


class Part(Protocol):
    """One kind of thing on a node."""

    def look(self) -> list[str]:
        """What of it is there and would go, one phrase each; nothing where there is none."""

    def clear(self) -> None:
        """Take it away; what cannot be taken is still there at the next look."""
