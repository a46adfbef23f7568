# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can go wrong, always as the sentence that an operator reads."""

from __future__ import annotations


class ResetError(Exception):
    """Something is wrong that a person must put right; the text says what, where and how."""
