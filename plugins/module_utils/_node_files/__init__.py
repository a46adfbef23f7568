# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of a node, wanted as a list and written as a whole. Start reading in change.py."""

from __future__ import annotations
