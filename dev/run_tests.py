# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the checks tier by tier and ends with a table: `python -m dev.run_tests [TIER …]`."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from dev.checks import CHECKS, LEFT_OUT, Check
from dev.paths import ROOT

LOGS = ROOT / ".work" / "logs"
HEARTBEAT_SECONDS = 30
TAIL_LINES = 60


@dataclass(frozen=True)
class Outcome:
    """What one check came to."""

    check: Check
    seconds: float
    passed: int
    failed: int
    skipped: tuple[str, ...]

    @property
    def verdict(self) -> str:
        return "FAILED" if self.failed else "passed"


def say(text: str) -> None:
    print(text, flush=True)


def count_cases(report: Path) -> tuple[int, int, tuple[str, ...]]:
    """Passed, failed, and the reason of each skip, from a JUnit file that pytest wrote."""
    passed = failed = 0
    skipped = []
    for case in ElementTree.parse(report).iter("testcase"):
        skip = case.find("skipped")
        if skip is not None:
            skipped.append(f"{case.get('name')}: {skip.get('message')}")
        elif case.find("failure") is not None or case.find("error") is not None:
            failed += 1
        else:
            passed += 1
    return passed, failed, tuple(skipped)


def last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return next((line.strip()[:110] for line in reversed(lines) if line.strip()), "no output yet")


def run_command(
    command: tuple[str, ...], log: Path, limit_seconds: int, heartbeat_seconds: float = HEARTBEAT_SECONDS
) -> int:
    """Run with the output in `log`, a sign of life now and then, and an end at the limit."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONUNBUFFERED": "1"}
    started = time.monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        try:
            while True:
                try:
                    return process.wait(timeout=heartbeat_seconds)
                except subprocess.TimeoutExpired:
                    elapsed = time.monotonic() - started
                    say(f"    {elapsed:4.0f} s  {last_line(log)}")
                    if elapsed > limit_seconds:
                        output.write(f"\nended by the runner after {limit_seconds} s\n".encode())
                        return 124
        finally:
            if process.poll() is None:
                end_group(process)


def end_group(process: subprocess.Popen[bytes]) -> None:
    """End a command and its children, first with time to clean up."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, number)
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            continue
        except ProcessLookupError:
            pass
        return


def run_check(check: Check) -> Outcome:
    name = f"{check.tier}-{check.name}".replace(" ", "-").replace("/", "-").replace(",", "")
    log, report = LOGS / f"{name}.log", LOGS / f"{name}.xml"
    report.unlink(missing_ok=True)
    say(f"{check.tier}: {check.name} (usually {check.usual_seconds} s)")
    started = time.monotonic()
    command = (*check.command, f"--junit-xml={report}") if check.pytest else check.command
    rc = run_command(command, log, check.limit_seconds)
    seconds = time.monotonic() - started
    skipped: tuple[str, ...] = ()
    passed, failed = int(rc == 0), int(rc != 0)
    if check.pytest and report.exists():
        passed, failed, skipped = count_cases(report)
        # A session that ran nothing, or died outside of a test, is a failure of its own.
        failed += int(failed == 0 and rc != 0)
    outcome = Outcome(check, seconds, passed, failed, skipped)
    if failed:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        say("\n".join(f"    | {line}" for line in lines[-TAIL_LINES:]))
        say(f"    the whole output: {log.relative_to(ROOT)}")
    say(f"    {outcome.verdict} in {seconds:.0f} s")
    return outcome


def table(outcomes: list[Outcome]) -> str:
    rows = [("tier", "what ran", "time", "passed", "failed", "skipped")]
    rows += [
        (o.check.tier, o.check.name, f"{o.seconds:.0f} s", str(o.passed), str(o.failed), str(len(o.skipped)))
        for o in outcomes
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    lines += [f"skipped: {o.check.tier}: {reason}" for o in outcomes for reason in o.skipped]
    return "\n".join(lines)


def main() -> int:
    tiers = list(dict.fromkeys(check.tier for check in CHECKS))
    parser = argparse.ArgumentParser(prog="python -m dev.run_tests", description=__doc__)
    parser.add_argument(
        "tier", nargs="*", metavar="TIER", help=f"which tiers to run; all of them without one: {', '.join(tiers)}"
    )
    wanted = parser.parse_args().tier or tiers
    unknown = sorted(set(wanted) - set(tiers))
    if unknown:
        parser.error(f"there is no tier {', '.join(unknown)}; there are {', '.join(tiers)}. Nothing was run.")
    LOGS.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    outcomes = [run_check(check) for check in CHECKS if check.tier in wanted]
    passed, failed, skipped = (
        sum(o.passed for o in outcomes),
        sum(o.failed for o in outcomes),
        sum(len(o.skipped) for o in outcomes),
    )
    say(f"\n{table(outcomes)}")
    for path, reason in LEFT_OUT.items():
        say(f"left out: {path}: {reason}")
    left_out = [tier for tier in tiers if tier not in wanted]
    if left_out:
        say(f"not asked for: {', '.join(left_out)}")
    say(f"in all {time.monotonic() - started:.0f} s\n")
    say(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
