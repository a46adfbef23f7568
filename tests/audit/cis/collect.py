# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings the evidence of a site together: the probe, sent to every node through the inventory, whatever that says."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from tests.playbook import run_playbook

from .catalogue import FOLDER, Control, patterns_of
from .evidence import Evidence, EvidenceError, read_site

ROOT = FOLDER.parents[2]


def collect(inventory: Path, controls: Sequence[Control]) -> Evidence:
    """Look at every host of the group `edge`; one that cannot be looked at is an error, never a pass."""
    run = run_playbook(
        (FOLDER / "collect.yml").relative_to(ROOT),
        inventory=inventory.resolve(),
        extravars={"audit_files": patterns_of(tuple(controls))},
    )
    if run.rc != 0:
        told = "\n".join(run.failures) or run.stdout
        raise EvidenceError(f"not every node could be looked at, so nothing was concluded:\n{told}")
    reports = {
        event["event_data"]["host"]: json.loads(event["event_data"]["res"]["stdout"])
        for event in run.events
        if event["event"] == "runner_on_ok" and event["event_data"].get("task") == "Look"
    }
    if not reports:
        raise EvidenceError(f"{inventory} names no host in the group edge")
    return read_site(reports)
