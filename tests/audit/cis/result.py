# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a reader saw, and what becomes of it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Verdict(str, Enum):
    """How a control stands. `EXCEPTED` is a failure that the exceptions file explains."""

    PASS = "pass"
    FAIL = "fail"
    EXCEPTED = "excepted"
    MANUAL = "manual"
    NOT_APPLICABLE = "not applicable"


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at: where it is, whether it is as the control asks, and what was seen."""

    subject: str
    holds: bool
    seen: str


@dataclass(frozen=True)
class Result:
    """One control, judged. `excepted` are the findings that an exception covers, `broken` those that none does."""

    control: str
    title: str
    kind: str
    verdict: Verdict
    note: str = ""
    broken: tuple[Finding, ...] = ()
    excepted: tuple[Finding, ...] = ()
