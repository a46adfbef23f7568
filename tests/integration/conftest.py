# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What integration tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

from dev.paths import BUNDLE


@pytest.fixture(scope="session")
def bundle_path() -> Path:
    """The bundle that `make bundle` made; a test that needs it fails, and never skips, without it."""
    if not (BUNDLE / "bundle.json").is_file():
        pytest.fail(f"there is no bundle at {BUNDLE}; run `make bundle` first (`make test` does)")
    return BUNDLE
