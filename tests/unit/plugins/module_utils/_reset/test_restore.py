# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the ledger says was not there goes again, folders with the last of ours in them."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from ansible_collections.holdfast.edge.plugins.module_utils._found.ledger import FOLDER, Found
from ansible_collections.holdfast.edge.plugins.module_utils._found.state import State
from ansible_collections.holdfast.edge.plugins.module_utils._reset.restore import Restore
from ansible_collections.holdfast.edge.plugins.module_utils._reset.system import System

MADE = "/etc/systemd/coredump.conf.d"


def node(root: Path, *written: str) -> Restore:
    """A node where we made the folder and wrote these files, none of which was there before."""
    found = {path: asdict(Found("none")) for path in (MADE, *written)}
    ledger = root / str(FOLDER).lstrip("/") / "ledger.json"
    ledger.parent.mkdir(parents=True)
    ledger.write_text(json.dumps({"paths": found, "state": asdict(State())}))
    for path in written:
        place = root / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("ours")
    return Restore(System(root))


def test_a_folder_that_we_made_goes_with_our_last_file_and_check_mode_says_so(tmp_path: Path) -> None:
    part = node(tmp_path, f"{MADE}/10-ours.conf", f"{MADE}/50-ours.conf")
    told = [f"{MADE}/50-ours.conf (as it was)", f"{MADE}/10-ours.conf (as it was)", f"{MADE} (as it was)"]
    assert part.look() == told
    part.clear()
    assert part.look() == []
    assert not (tmp_path / MADE.lstrip("/")).exists()


def test_a_folder_that_we_made_stays_where_somebody_else_uses_it_now(tmp_path: Path) -> None:
    part = node(tmp_path, f"{MADE}/50-ours.conf")
    theirs = tmp_path / MADE.lstrip("/") / "90-theirs.conf"
    theirs.write_text("theirs")
    assert part.look() == [f"{MADE}/50-ours.conf (as it was)"]
    part.clear()
    assert part.look() == []
    assert theirs.read_text() == "theirs"
