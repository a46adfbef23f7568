# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Links are replaced in one step and leave nothing beside them."""

from __future__ import annotations

from pathlib import Path

import pytest
from ansible_collections.holdfast.edge.plugins.module_utils._disk import link_target, put_link, temporary_for


def test_a_link_is_made_once_and_replaced_when_it_leads_elsewhere(tmp_path: Path) -> None:
    link = tmp_path / "current"
    assert [put_link(link, "1"), put_link(link, "1"), put_link(link, "2")] == [True, False, True]
    assert link_target(link) == "2"
    assert [path.name for path in tmp_path.iterdir()] == ["current"]


def test_what_an_interrupted_run_left_is_no_obstacle(tmp_path: Path) -> None:
    link = tmp_path / "current"
    temporary_for(link).write_text("half", encoding="utf-8")
    assert put_link(link, "1")
    assert [path.name for path in tmp_path.iterdir()] == ["current"]


def test_a_folder_in_the_way_stays_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    (tmp_path / "current/inside").mkdir(parents=True)
    with pytest.raises(OSError, match="irectory"):
        put_link(tmp_path / "current", "1")
    assert [path.name for path in tmp_path.iterdir()] == ["current"]


def test_what_is_no_link_leads_nowhere(tmp_path: Path) -> None:
    assert link_target(tmp_path) is None
    assert link_target(tmp_path / "missing") is None
