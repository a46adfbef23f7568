# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can go wrong, as the sentence that an operator needs."""

from __future__ import annotations


class HardeningError(Exception):
    """A setting that the node refused, or that cannot hold there."""
