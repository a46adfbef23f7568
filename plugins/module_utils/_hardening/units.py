# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which systemd units must not run, and which must."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .errors import HardeningError
from .kernel import Run


@dataclass(frozen=True)
class Unit:
    """One unit as systemd sees it."""

    name: str
    load: str
    active: str
    file: str

    @property
    def can_run(self) -> bool:
        """Something could start it, or has."""
        return self.load not in ("not-found", "masked") or self.active in ("active", "activating")

    @property
    def serves(self) -> bool:
        """It runs, and will after the next boot."""
        return self.active == "active" and self.file not in ("disabled", "masked")

    def __str__(self) -> str:
        return f"{self.name}: {self.load}, {self.active}, {self.file or 'no file'}"


def parse(text: str) -> Iterator[Unit]:
    """The units in what `systemctl show` prints."""
    for block in text.strip().split("\n\n"):
        values = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        if "Id" in values:
            yield Unit(
                values["Id"],
                values.get("LoadState", ""),
                values.get("ActiveState", ""),
                values.get("UnitFileState", ""),
            )


def look(names: Sequence[str], run: Run) -> dict[str, Unit]:
    """The units by the names that were asked for."""
    if not names:
        return {}
    code, out, error = run(["systemctl", "show", "--property=Id,LoadState,ActiveState,UnitFileState", *names])
    if code:
        raise HardeningError(f"systemd did not tell about its units: {error.strip()}")
    return dict(zip(names, parse(out)))


def change(command: Sequence[str], names: Sequence[str], run: Run) -> None:
    """One systemctl command for all of them."""
    if not names:
        return
    code, _out, error = run(["systemctl", *command, *names])
    if code:
        raise HardeningError(f"systemctl {' '.join([*command, *names])} failed: {error.strip()}")
