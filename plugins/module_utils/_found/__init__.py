# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a node was found, kept on it from the first change on, so that a reset can leave it so. Start in ledger.py."""

from __future__ import annotations
