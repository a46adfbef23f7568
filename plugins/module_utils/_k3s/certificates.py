# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""When the certificates of a node end, and who signed them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .._certificate import read_all


@dataclass(frozen=True)
class Certificate:
    """One file's first certificate."""

    path: str
    days_left: int
    share_left: float
    authority: bool
    signer_key: str


def read(path: Path, now: float) -> Certificate | None:
    """The first certificate of a file; None where it holds none that can be read."""
    found = read_all(path)
    if not found:
        return None
    return Certificate(
        path=str(path),
        days_left=int(found[0].days_left(now) // 1),
        share_left=round((found[0].ends - now) / max(found[0].ends - found[0].begins, 1.0), 3),
        authority=path.name.endswith("-ca.crt"),
        signer_key=found[0].signer_key,
    )


def below(folders: tuple[Path, ...], now: float) -> list[Certificate]:
    """Every certificate of these folders, the one that ends first in front."""
    found = (read(path, now) for folder in folders for path in sorted(folder.glob("*.crt")))
    return sorted((one for one in found if one), key=lambda one: (one.days_left, one.path))
