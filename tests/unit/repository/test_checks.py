# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""`make test` leaves no test out, and its table counts what really happened."""

from __future__ import annotations

import sys
from pathlib import Path

from dev.checks import CHECKS, LEFT_OUT, Check
from dev.paths import ROOT
from dev.run_tests import Outcome, count_cases, run_command, table


def test_every_test_file_is_run_by_exactly_one_check_or_left_out_by_name() -> None:
    asked = [ROOT / argument for check in CHECKS if check.pytest for argument in check.command if "tests/" in argument]
    left_out = [ROOT / name for name in LEFT_OUT]
    for path in (ROOT / "tests").rglob("test_*.py"):
        if any(folder in path.parents for folder in left_out):
            continue
        runs = [name for name in asked if path == name or name in path.parents]
        assert len(runs) == 1, f"{path.relative_to(ROOT)} is run {len(runs)} times by make test (see dev/checks.py)"


def test_failures_errors_and_skips_are_counted_apart(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    report.write_text(
        """<testsuites><testsuite><testcase name="good"/><testcase name="bad"><failure/></testcase>
        <testcase name="broken"><error/></testcase>
        <testcase name="left"><skipped message="no such device"/></testcase></testsuite></testsuites>""",
        encoding="utf-8",
    )
    assert count_cases(report) == (1, 2, ("left: no such device",))


def test_the_table_shows_the_reason_of_each_skip() -> None:
    check = Check("unit", "pytest", ("true",), 1)
    assert "skipped: unit: left: no such device" in table([Outcome(check, 1.0, 1, 0, ("left: no such device",))])


def test_a_command_that_outlives_its_limit_is_ended_with_its_children(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert run_command((sys.executable, "-c", "import time; time.sleep(60)"), log, 1, heartbeat_seconds=0.2) == 124
    assert "ended by the runner after 1 s" in log.read_text(encoding="utf-8")


def test_the_exit_status_of_a_command_is_its_own(tmp_path: Path) -> None:
    assert run_command((sys.executable, "-c", "raise SystemExit(3)"), tmp_path / "log", 10) == 3
