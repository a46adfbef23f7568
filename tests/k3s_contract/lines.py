# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lines of the contract: how a test says which one it proves, and the table at the end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

HELD, DIFFERS, UNCONFIRMED, UNASKED = "held", "DIFFERS", "differs (unconfirmed)", "not asked"
SEEN_LENGTH = 160


@dataclass(frozen=True)
class Line:
    """One line of the contract, what became of it, and what was seen where it did not hold."""

    section: str
    tag: str
    sentence: str
    verdict: str
    seen: str


def contract(section: str, tag: str, *, unconfirmed: bool = False) -> pytest.MarkDecorator:
    """Mark a test with the contract's section and evidence; an unconfirmed line is reported but does not fail."""
    return pytest.mark.contract(section=section, tag=tag, unconfirmed=unconfirmed)


class Table:
    """Collects what became of each line; registered as a plugin of the session."""

    def __init__(self) -> None:
        self._lines: list[Line] = []

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Iterator[None] | pytest.TestReport:
        """Note the outcome; where the contract itself is not sure, a difference is no failure."""
        report: pytest.TestReport = yield  # type: ignore[assignment,misc] # what a wrapper gets back has no type
        marks = [mark.kwargs for mark in item.iter_markers("contract")]
        if not marks or (report.when != "call" and report.passed):
            return report
        unconfirmed = all(mark["unconfirmed"] for mark in marks)
        seen = "" if report.passed else _words(call)
        if report.when == "call" and report.failed and unconfirmed:
            report.outcome = "skipped"
            report.wasxfail = f"the contract itself calls this line unconfirmed: {seen}"
            verdict = UNCONFIRMED
        elif report.skipped:
            verdict = UNASKED
        elif report.failed:
            verdict = DIFFERS if report.when == "call" else UNASKED
        else:
            verdict = HELD
        sentence = _sentence(item)
        self._lines += [Line(str(mark["section"]), str(mark["tag"]), sentence, verdict, seen) for mark in marks]
        return report

    @pytest.hookimpl
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the table: the lines in the contract's order, and the differences once more by themselves."""
        if not self._lines:
            return
        terminalreporter.section("the k3s contract, line by line")
        for line in sorted(self._lines, key=_order):
            seen = f"  <- {line.seen}" if line.seen else ""
            terminalreporter.write_line(f"{line.section:>3} {line.tag:<4} {line.verdict:<21} {line.sentence}{seen}")
        counts = ", ".join(
            f"{sum(line.verdict == verdict for line in self._lines)} {verdict}"
            for verdict in (HELD, DIFFERS, UNCONFIRMED, UNASKED)
        )
        terminalreporter.write_line(f"of {len(self._lines)} lines: {counts}")


def _order(line: Line) -> tuple[int, str]:
    return int(line.section), line.sentence


def _sentence(item: pytest.Item) -> str:
    name = item.name.removeprefix("test_")
    plain, bracket, parameter = name.partition("[")
    return plain.replace("_", " ") + (f" [{parameter}" if bracket else "")


def _words(call: pytest.CallInfo[None]) -> str:
    if call.excinfo is None:
        return ""
    first = next((line.strip() for line in str(call.excinfo.value).splitlines() if line.strip()), "")
    return first[:SEEN_LENGTH] or call.excinfo.typename
