# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can go wrong, always as the sentence that an operator reads."""

from __future__ import annotations


class BundleError(Exception):
    """Something is wrong that a person must put right; the text says what, where and how."""


class CatalogueError(BundleError):
    """An entry of artifacts.yml cannot be understood; the text names the entry and the field."""


class StoppedError(BundleError):
    """The work was stopped from outside, or because something beside it failed."""
