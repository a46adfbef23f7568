# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Says how an audit ended: a table for a person, one JSON object for a machine."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from .audit import Audit
from .result import Finding, Result, Verdict

BENCHMARK = "CIS k3s 1.9"
WIDTH = 15


def table(audit: Audit) -> str:
    """One line a control; below it what does not hold, and why that is accepted or whose judgement it needs."""
    return "\n".join(line for result in audit.results for line in _lines(result)) + "\n\n" + "\n".join(_end(audit))


def _lines(result: Result) -> Iterator[str]:
    yield f"{result.control:<7} {result.verdict.value:<{WIDTH}} {result.kind:<10} {result.title}"
    indent = " " * 8
    for finding in (*result.broken, *result.excepted):
        yield f"{indent}{finding.subject}: {finding.seen}"
    if result.note and result.verdict is not Verdict.PASS:
        yield f"{indent}({result.note})"


def _end(audit: Audit) -> Iterator[str]:
    yield ", ".join(f"{len(audit.of(verdict))} {verdict.value}" for verdict in Verdict)
    for exception in audit.stale:
        yield f"stale exception for {exception.control}: the control holds without it, so take it out of exceptions.yml"


def summary(audit: Audit) -> str:
    """The audit on one line."""
    return json.dumps(
        {
            "audit": BENCHMARK,
            "controls": len(audit.results),
            **{verdict.value.replace(" ", "_"): len(audit.of(verdict)) for verdict in Verdict},
            "failed": {result.control: _told(result.broken) for result in audit.of(Verdict.FAIL)},
            "exceptions": {result.control: result.note for result in audit.of(Verdict.EXCEPTED)},
            "stale_exceptions": [exception.control for exception in audit.stale],
        }
    )


def _told(findings: Sequence[Finding]) -> list[str]:
    return [f"{finding.subject}: {finding.seen}" for finding in findings]
