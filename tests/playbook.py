# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts playbooks the way AWX does, through ansible-runner, and reads what happened from their events."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ansible_runner

from tests.interruption import Interruption

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Run:
    """How a playbook ended. `changed`, `ok` … are counts for each host; `failures` are the messages of failed tasks."""

    rc: int
    status: str
    stdout: str
    changed: Mapping[str, int]
    ok: Mapping[str, int]
    failures: tuple[str, ...]
    events: tuple[dict[str, Any], ...] = field(repr=False)

    def results(self, task: str) -> list[dict[str, Any]]:
        """What the task of that name returned, host by host."""
        return [
            event["event_data"]["res"]
            for event in self.events
            if event["event"] in ("runner_on_ok", "runner_on_failed") and event["event_data"].get("task") == task
        ]


def _message(event: dict[str, Any]) -> str:
    data = event["event_data"]
    result = data.get("res", {})
    return f"{data.get('host')}: {result.get('msg') or result}"


def run_playbook(
    playbook: str | Path,
    inventory: str | Path | None = None,
    extravars: Mapping[str, Any] | None = None,
    cmdline: str = "",
    environment: Mapping[str, str] | None = None,
    project: Path = ROOT,
    quiet: bool = True,
) -> Run:
    """Run `playbook` (a path below `project`, or a full collection name) and wait for its end."""
    with tempfile.TemporaryDirectory(prefix="holdfast-runner-") as private, Interruption() as interruption:
        runner = ansible_runner.run(
            private_data_dir=private,
            project_dir=str(project),
            playbook=str(playbook),
            inventory=str(inventory) if inventory else None,
            extravars=dict(extravars or {}),
            cmdline=cmdline or None,
            envvars={
                **os.environ,
                # The runner gives Ansible a terminal; whether there is one to colour for is only known here.
                **({} if sys.stdout.isatty() else {"ANSIBLE_NOCOLOR": "1"}),
                "ANSIBLE_LOCALHOST_WARNING": "false",
                "ANSIBLE_INVENTORY_UNPARSED_WARNING": "false",
                **(environment or {}),
            },
            quiet=quiet,
            cancel_callback=interruption.must_be_killed,
            settings={"suppress_env_files": True, "pexpect_timeout": 10},
        )
        if interruption.asked:
            raise KeyboardInterrupt
        events = tuple(runner.events)
        failures = tuple(
            _message(event)
            for event in events
            if event["event"] in ("runner_on_failed", "runner_on_unreachable")
            and not event["event_data"].get("ignore_errors")
        )
        stats = runner.stats or {}
        return Run(
            rc=runner.rc,
            status=runner.status,
            stdout=runner.stdout.read(),
            changed=stats.get("changed", {}),
            ok=stats.get("ok", {}),
            failures=failures,
            events=events,
        )
