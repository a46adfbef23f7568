# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Content is kept by its digest, and nothing that comes out of the cache is trusted before it was hashed."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.progress import Progress
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.store import Content, Record, Store


@pytest.fixture
def said(tmp_path: Path) -> Path:
    return tmp_path / "said"


@pytest.fixture
def store(tmp_path: Path, said: Path) -> Store:
    store = Store(tmp_path / "cache", Progress(said))
    store.open()
    return store


def keep(store: Store, content: bytes) -> Content:
    file = store.workspace("test") / "file"
    file.write_bytes(content)
    return store.add(file)


def test_content_is_found_again_by_its_digest(store: Store) -> None:
    content = keep(store, b"bytes")
    path = store.verified(content.sha256, "thing")
    assert path is not None
    assert path.read_bytes() == b"bytes"
    assert content.size == 5


def test_a_damaged_entry_is_named_and_removed(store: Store, said: Path) -> None:
    content = keep(store, b"bytes")
    store.path_of(content.sha256).write_bytes(b"bytez")
    assert store.verified(content.sha256, "thing 1.0") is None
    assert "thing 1.0 is damaged" in said.read_text(encoding="utf-8")
    assert not store.path_of(content.sha256).exists()


def test_opening_clears_what_a_killed_run_left_but_keeps_parts_of_downloads(store: Store) -> None:
    left = store.workspace("killed") / "half"
    left.write_bytes(b"x")
    part = store.partial / "abc.part"
    part.write_bytes(b"x")
    store.open()
    assert not left.parent.exists()
    assert part.exists()


def test_a_record_says_what_a_recipe_gave(store: Store) -> None:
    record = Record({"tool": Content("c" * 64, 7)}, "build/tool with go 1.26.8")
    store.remember("key", record)
    assert store.record("key") == record
    assert store.record("other") is None


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"files": {"a": {}}}', '{"files": {"a": {"sha256": "x", "size": "y"}}}']
)
def test_a_record_that_cannot_be_read_counts_as_none(store: Store, tmp_path: Path, text: str) -> None:
    (tmp_path / "cache/store/records/key.json").write_text(text, encoding="utf-8")
    assert store.record("key") is None
