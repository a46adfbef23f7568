# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judges every control by its readers and the exceptions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .catalogue import Control, ExceptionRule
from .evidence import Evidence
from .readers import READERS
from .result import Finding, Result, Verdict


@dataclass(frozen=True)
class Audit:
    """The whole audit. `stale` are exceptions for controls that would pass without them."""

    results: tuple[Result, ...]
    stale: tuple[ExceptionRule, ...]

    def of(self, verdict: Verdict) -> tuple[Result, ...]:
        return tuple(result for result in self.results if result.verdict is verdict)

    @property
    def passed(self) -> bool:
        """Whether nothing fails and every exception is still needed."""
        return not self.of(Verdict.FAIL) and not self.stale

    def verdict(self, control: str) -> Verdict:
        return next(result.verdict for result in self.results if result.control == control)


def judge(controls: Sequence[Control], exceptions: Sequence[ExceptionRule], evidence: Evidence) -> Audit:
    """Every control's verdict over the whole site: one node that does not hold is enough to fail."""
    needed: set[ExceptionRule] = set()
    results = tuple(_judged(control, exceptions, evidence, needed) for control in controls)
    return Audit(results, tuple(exception for exception in exceptions if exception not in needed))


def _judged(
    control: Control, exceptions: Sequence[ExceptionRule], evidence: Evidence, needed: set[ExceptionRule]
) -> Result:
    if control.not_applicable:
        return _result(control, Verdict.NOT_APPLICABLE, control.not_applicable)
    if not control.checks:
        return _result(control, Verdict.MANUAL, control.look)
    broken: list[Finding] = []
    excepted: list[Finding] = []
    reasons: list[str] = []
    for finding in _findings(control, evidence):
        rules = [rule for rule in exceptions if rule.covers(control.id, finding.subject)]
        if finding.holds:
            continue
        if rules:
            excepted.append(finding)
            needed.update(rules)
            reasons += [rule.reason for rule in rules if rule.reason not in reasons]
        else:
            broken.append(finding)
    if broken:
        verdict = Verdict.FAIL if control.otherwise == "fail" else Verdict.MANUAL
        return _result(control, verdict, control.look, broken, excepted)
    return _result(control, Verdict.EXCEPTED if excepted else Verdict.PASS, "; ".join(reasons), excepted=excepted)


def _findings(control: Control, evidence: Evidence) -> list[Finding]:
    return [finding for check in control.checks for finding in READERS[check["read"]](check, evidence)]


def _result(
    control: Control,
    verdict: Verdict,
    note: str,
    broken: Sequence[Finding] = (),
    excepted: Sequence[Finding] = (),
) -> Result:
    return Result(control.id, control.title, control.kind, verdict, note, tuple(broken), tuple(excepted))
