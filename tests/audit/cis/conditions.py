# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a control asks of a value, in the words of the control files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

WORDS = ("is", "is_not", "has", "lacks", "at_least", "only", "starts", "given")
DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:([\d.]+)s)?")


def holds(condition: Mapping[str, Any], value: str | None) -> bool:
    """Whether the value is as asked. One that is not there passes where the control says `absent: pass`."""
    if value is None:
        return condition.get("given") is False or condition.get("absent") == "pass"
    if "given" in condition and not condition["given"]:
        return False
    return all(_word(word, condition[word], value) for word in WORDS if word in condition)


def asked(condition: Mapping[str, Any]) -> str:
    """The condition in words, for a message."""
    said = [
        f"{word.replace('_', ' ')} {condition[word] if not isinstance(condition[word], list) else 'of the strong ones'}"
        for word in WORDS
        if word in condition and word != "given"
    ]
    if condition.get("given") is False:
        return "not given"
    return " and ".join(said) or "given"


def _word(word: str, wanted: Any, value: str) -> bool:
    parts = [part.strip() for part in value.split(",")]
    if word == "is":
        return value == str(wanted)
    if word == "is_not":
        return value not in [str(one) for one in (wanted if isinstance(wanted, list) else [wanted])]
    if word == "has":
        return str(wanted) in parts
    if word == "lacks":
        return str(wanted) not in parts
    if word == "only":
        return all(part in wanted for part in parts)
    if word == "starts":
        return value.startswith(str(wanted))
    if word == "at_least":
        return number(value) >= float(wanted)
    return bool(value)


def number(value: str) -> float:
    """A number, or a duration in seconds."""
    try:
        return float(value)
    except ValueError:
        match = DURATION.fullmatch(value)
        if match is None or not value:
            return float("nan")
        hours, minutes, seconds = match.groups(default="0")
        return float(hours) * 3600 + float(minutes) * 60 + float(seconds)
