# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What integration tests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dev.paths import BUNDLE
from tests.history.served import Built, served_site
from tests.history.site_faults import SiteUnderFaults
from tests.integration.bundle_server import BadServer, badly_behaved_server
from tests.site import Site


@pytest.fixture(scope="session")
def bundle_path() -> Path:
    """The bundle that `make bundle` made; a test that needs it fails, and never skips, without it."""
    if not (BUNDLE / "bundle.json").is_file():
        pytest.fail(f"there is no bundle at {BUNDLE}; run `make bundle` first (`make test` does)")
    return BUNDLE


@pytest.fixture
def server() -> Iterator[BadServer]:
    """Where a bundle's files come from, well or badly."""
    with badly_behaved_server() as server:
        yield server


@pytest.fixture(scope="session")
def served_and_built() -> Iterator[tuple[SiteUnderFaults, Built | None]]:
    """A site of three servers behind one address and a worker, which all tests of a site share."""
    with served_site() as both:
        yield both


@pytest.fixture(scope="session")
def served(served_and_built: tuple[SiteUnderFaults, Built | None]) -> SiteUnderFaults:
    """That site, for tests that break it."""
    return served_and_built[0]


@pytest.fixture(scope="session")
def site(served: SiteUnderFaults) -> Site:
    """That site, for tests that look at it or heal what they break."""
    return served.site


@pytest.fixture(scope="session")
def built(served_and_built: tuple[SiteUnderFaults, Built | None]) -> Built:
    """How that site was built."""
    built = served_and_built[1]
    assert built, "these tests need a site that they saw being built"
    return built
