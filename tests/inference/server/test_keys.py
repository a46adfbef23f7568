# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Key files: digests only, read again when they change, and safe against half-written ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from holdfast_inference.server.keys import KeyFile, KeysError, digest_of, new_key, parse_keys


def replace(path: Path, text: str) -> None:
    new = path.with_suffix(".new")
    new.write_text(text, encoding="utf-8")
    new.replace(path)


def test_a_key_is_found_by_what_it_hashes_to(tmp_path: Path) -> None:
    key, line = new_key("shop", frozenset({"answers"}), 3)
    other, other_line = new_key("scraper", frozenset({"metrics"}))
    path = tmp_path / "keys"
    path.write_text(f"# who may ask\n\n{line}\n{other_line}\n", encoding="utf-8")
    keys = KeyFile(path)
    found = keys.find(key)
    assert found is not None
    assert (found.name, found.scopes, found.priority) == ("shop", frozenset({"answers"}), 3)
    assert getattr(keys.find(other), "name", None) == "scraper"
    assert keys.find(key + "x") is None
    assert keys.find("") is None
    assert keys.find("x" * 100_000) is None
    assert key not in path.read_text(encoding="utf-8")


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    first, line = new_key("first")
    second, second_line = new_key("second")
    path = tmp_path / "keys"
    path.write_text(line, encoding="utf-8")
    keys = KeyFile(path, look_seconds=0)
    replace(path, second_line)
    assert keys.find(first) is None
    assert keys.find(second) is not None


def test_a_broken_file_leaves_the_keys_before(tmp_path: Path) -> None:
    key, line = new_key("first")
    path = tmp_path / "keys"
    path.write_text(line, encoding="utf-8")
    keys = KeyFile(path, look_seconds=0)
    replace(path, "first sha256:12")
    assert keys.find(key) is not None
    assert keys.find(key) is not None
    assert keys.failed_reloads == 1


def test_a_file_that_is_gone_means_nobody_may_ask(tmp_path: Path) -> None:
    key, line = new_key("first")
    path = tmp_path / "keys"
    path.write_text(line, encoding="utf-8")
    keys = KeyFile(path, look_seconds=0)
    path.unlink()
    assert keys.find(key) is None
    path.write_text(line, encoding="utf-8")
    assert keys.find(key) is not None


@pytest.mark.parametrize(
    "line",
    [
        "shop",
        "shop hf-a-key-in-the-clear",
        f"sh/op sha256:{digest_of('a')}",
        f"shop sha256:{digest_of('a')[:-1]}",
        f"shop sha256:{digest_of('a')} scopes=everything",
        f"shop sha256:{digest_of('a')} scope=answers",
        f"shop sha256:{digest_of('a')} priority=high",
        f"shop sha256:{digest_of('a')}\nshop sha256:{digest_of('b')}",
    ],
)
def test_a_wrong_line_spoils_the_file_and_is_not_repeated(line: str) -> None:
    with pytest.raises(KeysError) as caught:
        parse_keys(line, "keys")
    assert "clear" not in str(caught.value)


def test_a_change_while_the_file_is_first_read_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, line = new_key("first")
    second, second_line = new_key("second")
    path = tmp_path / "keys"
    path.write_text(line, encoding="utf-8")
    read = Path.read_text

    def changed_behind_it(own: Path, *told: Any, **named: Any) -> str:
        found = read(own, *told, **named)
        monkeypatch.undo()
        replace(own, second_line)
        return found

    monkeypatch.setattr(Path, "read_text", changed_behind_it)
    assert KeyFile(path, look_seconds=0).find(second) is not None
