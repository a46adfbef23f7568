# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""`make test-all` leaves no test out, and its table counts what really happened."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest
from ansible_collections.holdfast.edge.plugins.module_utils._bundle import gobuild

from dev import go_check, run_tests
from dev.checks import CHECKS, EMULATED, OF_A_MINOR, Check
from dev.contract import CONTRACT, WHICH
from dev.paths import ROOT
from dev.run_tests import Outcome, count_cases, run_checks, run_command, table


def test_every_test_file_is_run_by_exactly_one_check() -> None:
    asked = [ROOT / argument for check in CHECKS if check.pytest for argument in check.command if "tests/" in argument]
    for path in (ROOT / "tests").rglob("test_*.py"):
        if ROOT / CONTRACT in path.parents:
            continue
        runs = [name for name in asked if path == name or name in path.parents]
        assert len(runs) == 1, f"{path.relative_to(ROOT)} is run {len(runs)} times by make test-all (see dev/checks.py)"


def test_the_contract_is_asked_of_both_stand_ins_and_whole_by_test_all() -> None:
    asked = [check for check in CHECKS if "dev.contract" in check.command]
    parts = {
        which: {check.command[-1] for check in asked if which in check.command and OF_A_MINOR not in check.command}
        for which in WHICH
    }
    assert parts == {"newest": {EMULATED, f"not {EMULATED}"}, "before": {"before"}}
    for which in WHICH:
        assert any(which in check.command for check in asked if not check.only_in_all)


def test_failures_errors_and_skips_are_told_apart_each_with_its_reason(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    report.write_text(
        """<testsuites><testsuite><testcase name="good"/>
        <testcase classname="tests.unit.test_one" name="bad"><failure message="assert 1 == 2&#10;  where"/></testcase>
        <testcase classname="tests.unit.test_one" name="broken"><error/></testcase>
        <testcase classname="test_two" name="left"><skipped message="no such device"/></testcase>
        </testsuite></testsuites>""",
        encoding="utf-8",
    )
    assert count_cases(report) == (
        1,
        ("test_one::bad: assert 1 == 2 where", "test_one::broken: "),
        ("test_two::left: no such device",),
    )


def test_the_table_shows_the_reason_of_each_skip() -> None:
    check = Check("unit", "pytest", ("true",), 1)
    assert "skipped: unit: left: no such device" in table([Outcome(check, 1.0, 1, skipped=("left: no such device",))])


def test_the_output_ends_with_what_failed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    fails = Check("unit", "one", (sys.executable, "-c", "raise SystemExit('no such file')"), 1)
    monkeypatch.setattr(run_tests, "CHECKS", (fails, Check("unit", "two", ("true",), 1)))
    monkeypatch.setattr(sys, "argv", ["run_tests"])
    assert run_tests.main() == 1
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "FAILED unit: ended with 1: no such file",
        "1 passed, 1 failed",
    ]


@pytest.fixture
def counter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A program that fails when it runs for the first time."""
    monkeypatch.setattr(run_tests, "LOGS", tmp_path)
    ran = str(tmp_path / "ran")
    return f"import os; ran = os.path.exists({ran!r}); open({ran!r}, 'w').close(); ran or exit(1)"


def test_one_that_fails_only_once_is_named_and_the_run_is_green(
    counter: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run_tests, "CHECKS", (Check("site", "one", (sys.executable, "-c", counter), 1),))
    monkeypatch.setattr(sys, "argv", ["run_tests"])
    assert run_tests.main() == 0
    assert capsys.readouterr().out.splitlines()[-2:] == [
        "FLICKERED (passed when its check ran again) site: ended with 1: no output yet",
        "1 passed, 0 failed, 1 passed only the second time",
    ]
    assert (tmp_path / "first-site-one.log").exists()


@pytest.mark.parametrize("tier", run_tests.WITHOUT_CLOCK)
def test_what_has_no_clock_is_never_asked_twice(counter: str, tier: str) -> None:
    check = Check(tier, "one", (sys.executable, "-c", counter), 1)
    outcomes = [Outcome(check, 1.0, 0, ("broken",))]
    assert run_tests.ask_again(outcomes) == (outcomes, ())


def test_neither_many_failures_nor_those_of_two_checks_are_asked_twice(counter: str) -> None:
    check = Check("site", "one", (sys.executable, "-c", counter), 1)
    many = [Outcome(check, 1.0, 0, ("one", "two", "three"))]
    two = [Outcome(check, 1.0, 0, ("one",)), Outcome(check, 1.0, 0, ("one",))]
    assert run_tests.ask_again(many) == (many, ())
    assert run_tests.ask_again(two) == (two, ())


def test_what_fails_twice_has_failed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(run_tests, "LOGS", tmp_path)
    check = Check("site", "one", ("false",), 1)
    outcomes, flickered = run_tests.ask_again([Outcome(check, 1.0, 0, ("broken",))])
    assert flickered == () and outcomes[0].failures == ("ended with 1: no output yet",)


def test_a_command_that_outlives_its_limit_is_ended_with_its_children(tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert run_command((sys.executable, "-c", "import time; time.sleep(60)"), log, 1, heartbeat_seconds=0.2) == 124
    assert "ended by the runner after 1 s" in log.read_text(encoding="utf-8")


def test_neighbours_that_share_run_side_by_side_and_the_others_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    running: list[str] = []
    seen: dict[str, int] = {}

    def run(check: Check) -> Outcome:
        running.append(check.name)
        time.sleep(0.1)
        seen[check.name] = len(running)
        time.sleep(0.1)
        running.remove(check.name)
        return Outcome(check, 0.2, 1)

    monkeypatch.setattr(run_tests, "run_check", run)
    checks = [Check("tier", name, ("true",), 1, shares=name in "bcd") for name in "abcde"]
    assert [outcome.check.name for outcome in run_checks(checks)] == list("abcde")
    assert (seen["a"], seen["b"], seen["c"], seen["e"]) == (1, 2, 2, 1)


def test_a_command_is_kind_to_the_containers_beside_it(tmp_path: Path) -> None:
    log, groups = tmp_path / "log", Path("/proc/self/autogroup")
    # The runner says it after the start, and may be kept from the processor for a while.
    settled = f"for turn in 1 2 3 4 5 6 7 8 9; do grep -qs ' nice [1-9]' {groups} && break; sleep 0.5; done"
    assert run_command(("sh", "-c", f"{settled}; nice; cat {groups} 2>/dev/null || true"), log, 20) == 0
    told = log.read_text(encoding="utf-8")
    assert told.startswith(f"{min(19, os.nice(0) + run_tests.NICE)}\n")
    assert told.strip().endswith(f" nice {run_tests.NICE}") == groups.exists()


def test_the_exit_status_of_a_command_is_its_own(tmp_path: Path) -> None:
    assert run_command((sys.executable, "-c", "raise SystemExit(3)"), tmp_path / "log", 10) == 3


def test_our_own_go_is_judged_with_the_flags_of_the_builds() -> None:
    assert go_check.GO_FLAGS == gobuild.GO_FLAGS
