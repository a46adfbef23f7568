# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What goes wrong, as the sentence that an operator needs."""

from __future__ import annotations


class K3sError(Exception):
    """The message says what happened and what to do next."""
