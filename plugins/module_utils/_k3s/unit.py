# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What systemd says of the service, and with what its last start was made."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .commands import Run

# Since the boot, in microseconds: not every systemd can tell it in seconds since 1970.
STARTED_AT = "ExecMainStartTimestampMonotonic"
PROPERTIES = ("LoadState", "ActiveState", "SubState", "MainPID", "UnitFileState", "NRestarts", STARTED_AT)


@dataclass(frozen=True)
class Unit:
    """One look at the service. `started_at` is in seconds since 1970, 0 when it never was."""

    name: str
    exists: bool = False
    active: str = "inactive"
    sub: str = "dead"
    pid: int = 0
    enabled: bool = False
    restarts: int = 0
    started_at: float = 0.0

    @property
    def runs(self) -> bool:
        """Whether a process is there that systemd does not wait to start again."""
        return self.pid > 0 and self.active in ("active", "activating", "reloading")


def look(name: str, run: Run) -> Unit:
    """Ask systemd once."""
    told = run(["systemctl", "show", f"--property={','.join(PROPERTIES)}", name])
    values = dict(line.partition("=")[::2] for line in told.output.splitlines() if "=" in line)
    return Unit(
        name=name,
        exists=values.get("LoadState") == "loaded",
        active=values.get("ActiveState", "unknown"),
        sub=values.get("SubState", "unknown"),
        pid=_number(values.get("MainPID", "")),
        enabled=values.get("UnitFileState") == "enabled",
        restarts=_number(values.get("NRestarts", "")),
        started_at=_moment(_number(values.get(STARTED_AT, ""))),
    )


def _number(text: str) -> int:
    return int(text) if text.isdigit() else 0


def _moment(microseconds: int) -> float:
    """In seconds since 1970, as this machine's clock is now, not as it was before it was set right."""
    return time.time() - time.monotonic() + microseconds / 1e6 if microseconds else 0.0


@dataclass(frozen=True)
class Started:
    """What the unit wrote down before its last start: the program, and the digest of each file by its path."""

    program: str = ""
    digests: Mapping[str, str] = field(default_factory=dict)

    @property
    def version(self) -> str:
        """The version of the program, which is the name of its folder; empty for a program that is not ours."""
        parts = Path(self.program).parts
        return parts[-2] if len(parts) > 3 and parts[-3] == "k3s" else ""


def read_started(path: Path) -> Started:
    """Read it; an empty one where no start was written down, as before the first or after a reboot."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return Started()
    digests = {name: digest for digest, found, name in (line.partition("  ") for line in lines[1:]) if found}
    return Started(program=lines[0].strip() if lines else "", digests=digests)
