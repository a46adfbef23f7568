# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which of two versions is the newer one."""

from __future__ import annotations

import re
from typing import Any

_PARTS = re.compile(r"\d+|[A-Za-z]+")


def version_key(version: str) -> tuple[Any, ...]:
    """A key to sort by: numbers as numbers, a pre-release before its release, +k3s2 after +k3s1."""
    text, build = (version.removeprefix("v") + "+").split("+")[:2]
    core, early = (text + "-").split("-", 1)
    return (_natural(core), not early, _natural(early), _natural(build))


def _natural(text: str) -> tuple[tuple[bool, int, str], ...]:
    return tuple((part.isdigit(), int(part) if part.isdigit() else 0, part) for part in _PARTS.findall(text))
