# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A shortened soak of a gateway and a node behind it: requests of all kinds, and memory that does not grow with them.
`make bench-soak` is the long one."""

from __future__ import annotations

from pathlib import Path

import pytest

from dev.fixture.versions import VERSIONS, export_version

from .gateway.node_process import LEAK
from .gateway.real_nodes import real_site
from .soaking import questions_of, soak

WARM_UP, REQUESTS = 1500, 2500
"""Until then caches and the last minute's measures fill; from there on three runs rose by 60 to 560 bytes a request."""
MOST = 1024.0
"""Bytes a request. What was found by this, and is mended, cost 8,000."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fixture") / "model"
    export_version(VERSIONS[0], folder)
    return folder


def soaked(folder: Path, model: Path, warm_up: int, requests: int, *, leaking: bool = False) -> dict[str, float]:
    with real_site(folder, names=("a",), model=model, leaking=leaking) as site:
        found = soak(site, questions_of(model), warm_up, lambda so_far: so_far.requests < requests)
    print(found.told())
    assert found.unforeseen == {}
    assert found.samples[-1].requests == requests
    return found.slopes()


def test_memory_does_not_grow_with_requests(tmp_path: Path, model: Path) -> None:
    found = soaked(tmp_path, model, WARM_UP, REQUESTS)
    assert found.keys() == {"a", "gateway"}
    assert max(found.values()) < MOST, found


def test_a_leak_would_be_seen(tmp_path: Path, model: Path) -> None:
    # Of ten requests, six get as far as the engine, one of them twice.
    found = soaked(tmp_path, model, 300, 700, leaking=True)
    assert found["a"] > LEAK / 2 > 4 * MOST, found
