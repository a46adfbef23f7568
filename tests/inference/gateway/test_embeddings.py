# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Embeddings through a gateway: those that its nodes make, also when one of them is dead."""

from __future__ import annotations

from pathlib import Path

from tests.inference.engine.asking import make_embedding_model

from .real_nodes import MODEL, real_site


def test_vectors_come_through_a_gateway(tmp_path: Path) -> None:
    asked = {"model": MODEL, "input": ["Where is the lamp?", [5, 6, 7]]}
    with real_site(tmp_path, names=("a", "b"), model=make_embedding_model(tmp_path)) as site:
        with site.client("a") as node:
            wanted = node.post("/v1/embeddings", json=asked).json()
        with site.client() as client:
            assert client.post("/v1/embeddings", json=asked).json() == wanted
            site.kill("a")
            assert client.post("/v1/embeddings", json=asked).json() == wanted
