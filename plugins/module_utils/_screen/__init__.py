# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One screen about a site, from what its nodes told. Start reading in screen.py."""

from __future__ import annotations
