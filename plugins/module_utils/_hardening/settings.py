# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Single values in files that belong to somebody else, as /etc/login.defs; all other lines stay as they are."""

from __future__ import annotations

import re
from collections.abc import Mapping


def with_values(text: str, values: Mapping[str, str], separator: str = " ") -> str:
    """The text with these values: in the place of the first line with the key, later ones gone, new ones at the end."""
    lines: list[str] = []
    done: set[str] = set()
    for line in text.splitlines():
        key = key_of(line, separator)
        if key not in values:
            lines.append(line)
        elif key not in done:
            done.add(key)
            kept = value_of(line, separator) == values[key]
            lines.append(line if kept else f"{key}{separator}{values[key]}")
    lines += [f"{key}{separator}{value}" for key, value in values.items() if key not in done]
    return "\n".join(lines) + "\n"


def _parts(line: str, separator: str) -> list[str]:
    code = line.split("#", 1)[0].strip()
    return re.split(rf"\s*{re.escape(separator.strip())}\s*" if separator.strip() else r"\s+", code, maxsplit=1)


def key_of(line: str, separator: str) -> str:
    """The key of a line; nothing for a comment or an empty line."""
    return _parts(line, separator)[0]


def value_of(line: str, separator: str) -> str:
    """The value of a line."""
    parts = _parts(line, separator)
    return parts[1].strip() if len(parts) == 2 else ""
