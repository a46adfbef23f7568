# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fixtures of the server's tests that need no model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from holdfast_inference.server.settings import Access, Admission, Limits, Settings

from .running import Running, running, wait_until
from .scripted_engine import ScriptedEngine

ORIGIN = "https://shop.example"


@pytest.fixture
def engine() -> ScriptedEngine:
    """An engine that says what the test writes down."""
    return ScriptedEngine()


def impatient(access: Access) -> Settings:
    """Times and amounts so small that a test sees them pass."""
    return Settings(
        port=0,
        access=Access(keys_file=access.keys_file, origins=(ORIGIN,)),
        drain_seconds=0.2,
        ping_seconds=0.1,
        write_seconds=1.0,
        header_seconds=0.5,
        limits=Limits(body_bytes=100_000, body_seconds=1.0),
        admission=Admission(tokens=200, tokens_per_key=200, assumed_answer_tokens=50),
    )


@pytest.fixture
def server(tmp_path: Path, engine: ScriptedEngine) -> Iterator[Running]:
    """A server on loopback in front of it."""
    with running(tmp_path, lambda: engine, impatient) as server, server.client() as client:
        wait_until(lambda: client.get("/health/ready").status_code == 200)
        yield server


@pytest.fixture
def client(server: Running) -> Iterator[httpx.Client]:
    """A client with a key."""
    with server.client() as client:
        yield client
