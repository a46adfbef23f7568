# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the checks tier by tier and ends with a table: `python -m dev.run_tests [--all] [TIER …]`.

Checks that mostly wait share the machine, two at a time; each of the others has it alone. Where one or two tests of one
check with a clock in it failed and all else passed, that check is run once more, whole and alone. Passes it then, the
run is green, and the last lines name what flickers with its reason, so that somebody looks for the race.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from xml.etree import ElementTree

from dev.checks import CHECKS, Check
from dev.paths import ROOT

LOGS = ROOT / ".work" / "logs"
HEARTBEAT_SECONDS = 30
POLL_SECONDS = 0.5
TAIL_LINES = 60
REASON_LENGTH = 300
# What ends the output must say what failed: where only that much of a log is kept, nobody else can.
FAILURES_SHOWN = 8
AT_ONCE = 2
# How many failures of one check may be a race with a busy machine. These tiers have no clock: what they say stands.
FLICKERS = 2
WITHOUT_CLOCK = ("conventions", "unit", "sanity")
# All containers together weigh as much as one session of the machine's own; tests must not outweigh them.
NICE = 10
KINDLY = ("nice", "-n", str(NICE))

stopping = threading.Event()


@dataclass(frozen=True)
class Outcome:
    """What one check came to; of failures and skips, a line each that names it with its reason."""

    check: Check
    seconds: float
    passed: int
    failures: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()

    @property
    def failed(self) -> int:
        return len(self.failures)

    @property
    def verdict(self) -> str:
        return "FAILED" if self.failures else "passed"


def say(text: str) -> None:
    print(text, flush=True)


def count_cases(report: Path) -> tuple[int, tuple[str, ...], tuple[str, ...]]:
    """How many passed, and the name and reason of each failure and each skip, from a JUnit file that pytest wrote."""
    passed = 0
    failures: list[str] = []
    skipped: list[str] = []
    for case in ElementTree.parse(report).iter("testcase"):
        found = {outcome: case.find(outcome) for outcome in ("skipped", "failure", "error")}
        ended = next((outcome for outcome in found.values() if outcome is not None), None)
        if ended is None:
            passed += 1
            continue
        reason = " ".join((ended.get("message") or "").split())[:REASON_LENGTH]
        line = f"{case.get('classname', '').rpartition('.')[2]}::{case.get('name')}: {reason}"
        (skipped if found["skipped"] is not None else failures).append(line)
    return passed, tuple(failures), tuple(skipped)


def last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return next((line.strip()[:110] for line in reversed(lines) if line.strip()), "no output yet")


def run_command(
    command: tuple[str, ...],
    log: Path,
    limit_seconds: int,
    name: str = "",
    heartbeat_seconds: float = HEARTBEAT_SECONDS,
) -> int:
    """Run with the output in `log`, a sign of life now and then, and an end at the limit or when all is stopped."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONUNBUFFERED": "1"}
    started = time.monotonic()
    next_sign = started + heartbeat_seconds
    with log.open("wb") as output:
        process = subprocess.Popen(
            (*KINDLY, *command),
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        # Where the kernel groups processes by session, nice alone counts only among those of one session.
        with suppress(OSError):
            Path(f"/proc/{process.pid}/autogroup").write_text(str(NICE), encoding="ascii")
        try:
            while not stopping.is_set():
                try:
                    return process.wait(timeout=min(POLL_SECONDS, heartbeat_seconds))
                except subprocess.TimeoutExpired:
                    now = time.monotonic()
                if now - started > limit_seconds:
                    output.write(f"\nended by the runner after {limit_seconds} s\n".encode())
                    return 124
                if now >= next_sign:
                    next_sign += heartbeat_seconds
                    say(f"    {now - started:4.0f} s  {name}: {last_line(log)}")
            return 130
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


def log_name(check: Check) -> str:
    return f"{check.tier}-{check.name}".replace(" ", "-").replace("/", "-").replace(",", "")


def run_check(check: Check) -> Outcome:
    name = log_name(check)
    log, report = LOGS / f"{name}.log", LOGS / f"{name}.xml"
    report.unlink(missing_ok=True)
    say(f"{check.tier}: {check.name} (usually {check.usual_seconds} s)")
    started = time.monotonic()
    command = (*check.command, f"--junit-xml={report}") if check.pytest else check.command
    rc = run_command(command, log, check.limit_seconds, check.name)
    seconds = time.monotonic() - started
    passed = int(rc == 0)
    failures: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    if check.pytest and report.exists():
        passed, failures, skipped = count_cases(report)
    # A session that ran nothing, or died outside of a test, is a failure of its own.
    if rc and not failures:
        failures = (f"ended with {rc}: {last_line(log)}",)
    outcome = Outcome(check, seconds, passed, failures, skipped)
    if failures:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        say("\n".join(f"    | {line}" for line in lines[-TAIL_LINES:]))
        say(f"    the whole output: {log}")
    say(f"    {check.tier}: {check.name} {outcome.verdict} in {seconds:.0f} s")
    return outcome


def run_checks(checks: Iterable[Check]) -> list[Outcome]:
    """Run them in their order; neighbours that may share the machine run side by side."""
    outcomes: list[Outcome] = []
    for shared, neighbours in groupby(checks, key=lambda check: check.shares):
        with ThreadPoolExecutor(max_workers=AT_ONCE if shared else 1) as pool:
            try:
                outcomes += pool.map(run_check, neighbours)
            except KeyboardInterrupt:
                stopping.set()
                pool.shutdown(cancel_futures=True)
                raise
    return outcomes


def ask_again(outcomes: list[Outcome]) -> tuple[list[Outcome], tuple[str, ...]]:
    """Run the one check again in which a test or two failed; what came of all, and what failed only the first time."""
    failed = [outcome for outcome in outcomes if outcome.failures]
    if len(failed) != 1 or failed[0].failed > FLICKERS or failed[0].check.tier in WITHOUT_CLOCK:
        return outcomes, ()
    first = failed[0]
    for path in LOGS.glob(f"{log_name(first.check)}.*"):
        path.rename(path.with_name(f"first-{path.name}"))
    say(f"\nonly {first.failed} failed, in a check with a clock in it: it is run again, whole and alone")
    second = run_check(first.check)
    flickered = () if second.failures else tuple(f"{first.check.tier}: {failure}" for failure in first.failures)
    return [second if outcome is first else outcome for outcome in outcomes], flickered


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
    parser.add_argument("--all", action="store_true", help="also those that take too long to be run for every change")
    options = parser.parse_args()
    wanted = options.tier or tiers
    unknown = sorted(set(wanted) - set(tiers))
    if unknown:
        parser.error(f"there is no tier {', '.join(unknown)}; there are {', '.join(tiers)}. Nothing was run.")
    LOGS.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    asked = [check for check in CHECKS if check.tier in wanted]
    outcomes, flickered = ask_again(run_checks(check for check in asked if options.all or not check.only_in_all))
    passed, failed, skipped = (
        sum(o.passed for o in outcomes),
        sum(o.failed for o in outcomes),
        sum(len(o.skipped) for o in outcomes),
    )
    say(f"\n{table(outcomes)}")
    for check in asked:
        if check.only_in_all and not options.all:
            say(f"only in make test-all: {check.tier}: {check.name} (usually {check.usual_seconds} s)")
    left_out = [tier for tier in tiers if tier not in wanted]
    if left_out:
        say(f"not asked for: {', '.join(left_out)}")
    say(f"in all {time.monotonic() - started:.0f} s\n")
    failures = [f"FAILED {o.check.tier}: {failure}" for o in outcomes for failure in o.failures]
    for line in failures[:FAILURES_SHOWN]:
        say(line)
    if failures[FAILURES_SHOWN:]:
        say(f"and {len(failures) - FAILURES_SHOWN} more failures, in {LOGS.relative_to(ROOT)}")
    for line in flickered:
        say(f"FLICKERED (passed when its check ran again) {line}")
    counts = {"skipped": skipped, "passed only the second time": len(flickered)}
    more = "".join(f", {count} {name}" for name, count in counts.items() if count)
    say(f"{passed} passed, {failed} failed{more}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
