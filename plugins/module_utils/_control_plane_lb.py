# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a node has of the balancer before the API: programs, units, files, its interface, and whether it serves."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

PATH = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"
UNITS = ("haproxy.service", "keepalived.service")
JOURNAL_LINES = 12
PAUSE_SECONDS = 0.2

Command = Callable[[Sequence[str]], str]


@dataclass(frozen=True)
class Wanted:
    """What is asked about."""

    address: str
    vip: str
    units: tuple[str, ...]
    programs: tuple[str, ...]
    files: tuple[str, ...]
    health_url: str = ""
    wait_seconds: int = 0
    applied: str = ""


@dataclass(frozen=True)
class Look:
    """One look at a node."""

    interface: str
    holds_vip: bool
    missing_programs: list[str]
    missing_files: list[str]
    units: dict[str, dict[str, str]]
    can_authenticate: bool
    serving: bool
    applied: dict[str, str]
    journal: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


def run(command: Sequence[str]) -> str:
    """What the command prints; nothing when it fails or is not there."""
    environment = {"PATH": PATH, "LC_ALL": "C.UTF-8"}
    program = shutil.which(command[0], path=PATH)
    if program is None:
        return ""
    done = subprocess.run(
        [program, *command[1:]], check=False, capture_output=True, text=True, env=environment, timeout=20
    )
    return done.stdout if done.returncode == 0 else ""


def interface_of(listed: str, address: str) -> str:
    """The interface that carries the address, from the JSON of `ip address`; empty when none does."""
    for interface in json.loads(listed or "[]"):
        if any(item.get("local") == address for item in interface.get("addr_info", [])):
            return str(interface["ifname"])
    return ""


def unit_states(shown: str) -> dict[str, dict[str, str]]:
    """State of each unit, from the blocks of `systemctl show`."""
    states = {}
    for block in shown.strip().split("\n\n"):
        pairs = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        if "Id" in pairs:
            states[pairs["Id"]] = {
                "active": pairs.get("ActiveState", ""),
                "enabled": pairs.get("UnitFileState", ""),
                "loaded": pairs.get("LoadState", ""),
            }
    return states


def missing_files(paths: Iterable[str]) -> list[str]:
    return [path for path in paths if not Path(path).is_file()]


def read_applied(path: str) -> dict[str, str]:
    """The digest of each file that the balancer was last seen to serve with; none where that was never noted."""
    try:
        noted = json.loads(Path(path).read_text(encoding="utf-8")) if path else {}
    except (OSError, ValueError):
        return {}
    return {str(name): str(digest) for name, digest in noted.items()} if isinstance(noted, dict) else {}


def answers(url: str) -> bool:
    """Whether the address says 200 at once."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=2)
    try:
        connection.request("GET", parts.path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def answers_within(url: str, seconds: float) -> bool:
    """Whether it says so before the time is over; it is asked once at least."""
    deadline = time.monotonic() + seconds
    while not answers(url):
        if time.monotonic() >= deadline:
            return False
        time.sleep(PAUSE_SECONDS)
    return True


def knows_authentication(command: Command, modules: Path) -> bool:
    """Whether this kernel has, or can load, the authentication header of IPsec."""
    for name in ("modules.builtin", "modules.dep"):
        try:
            lines = (modules / name).read_text(encoding="utf-8").splitlines()
        except OSError:
            continue
        if any("/ah4.ko" in line.split(":")[0] for line in lines):
            return True
    return "ah" in command(["ip", "xfrm", "state", "list", "proto", "ah"])


def look(wanted: Wanted, command: Command = run) -> Look:
    """Look once it serves or the time is over; the journal is read only where it does not serve."""
    serving = bool(wanted.health_url) and answers_within(wanted.health_url, wanted.wait_seconds)
    listed = command(["ip", "-json", "address", "show"])
    properties = "--property=Id,ActiveState,UnitFileState,LoadState"
    units = unit_states(command(["systemctl", "show", properties, *wanted.units]))
    journal = "" if serving else command(_journal(wanted.units))
    return Look(
        interface=interface_of(listed, wanted.address),
        holds_vip=bool(interface_of(listed, wanted.vip)),
        missing_programs=[name for name in wanted.programs if shutil.which(name, path=PATH) is None],
        missing_files=missing_files(wanted.files),
        units=units,
        can_authenticate=knows_authentication(command, Path("/lib/modules") / os.uname().release),
        serving=serving,
        applied=read_applied(wanted.applied),
        journal=journal.splitlines(),
    )


def _journal(units: Iterable[str]) -> list[str]:
    chosen = [f"--unit={unit}" for unit in units]
    return ["journalctl", "--no-pager", "--output=short-iso", f"--lines={JOURNAL_LINES}", *chosen]
