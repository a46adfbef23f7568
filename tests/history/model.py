# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The words of a history: operations with their times and what the client was told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum


class Kind(Enum):
    """What was asked."""

    ADD = "add"
    """Make an entry that is not there yet."""
    SET = "set"
    """Give a register a higher number."""
    GET = "get"
    """Read a register, with a quorum."""


class Outcome(Enum):
    """What the client may believe afterwards."""

    OK = "ok"
    FAILED = "failed"
    """It was refused, so it never has an effect."""
    UNKNOWN = "unknown"
    """No answer came, so it has an effect now, later, or never."""


@dataclass(frozen=True)
class Operation:
    """One question to the API. A GET that found nothing read the number 0."""

    kind: Kind
    key: str
    number: int
    start: float
    end: float
    outcome: Outcome
    client: str = ""
    said: str = field(default="", compare=False)


@dataclass(frozen=True)
class State:
    """What is there when all is over: the number of each register, and the entries."""

    registers: Mapping[str, int]
    entries: frozenset[str]
