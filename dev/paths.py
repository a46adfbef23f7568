# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where things are: the checkout, and the caches outside it."""

from __future__ import annotations

from pathlib import Path

from tests.hosts.paths import cache_root

ROOT = Path(__file__).resolve().parent.parent
CACHE = cache_root()
BUNDLE = CACHE / "bundle"
