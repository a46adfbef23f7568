# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a node had that is no file: kernel parameters, units that start at boot, users, groups."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

# Reading some of these has effects or takes long, and none of them is a setting.
NOT_READ = frozenset({"stable_secret", "flush", "random", "boot_id", "uuid", "drop_caches", "compact_memory"})
LONGEST = 200


@dataclass(frozen=True)
class State:
    """The node's state at the first change. `enabled`, `running` and `masked` are units."""

    sysctls: dict[str, str] = field(default_factory=dict)
    enabled: list[str] = field(default_factory=list)
    running: list[str] = field(default_factory=list)
    masked: list[str] = field(default_factory=list)
    users: list[str] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)


def look_at_state(root: Path = Path("/")) -> State:
    """Read all of it."""
    enabled, masked = units(root)
    return State(
        sysctls=sysctls(root),
        enabled=enabled,
        running=running(),
        masked=masked,
        users=names(root / "etc/passwd"),
        groups=names(root / "etc/group"),
        folders=[path for path in ("/var/log/journal",) if (root / path.lstrip("/")).is_dir()],
    )


def sysctls(root: Path = Path("/")) -> dict[str, str]:
    """Every kernel parameter of one line, by its name as sysctl writes it."""
    top = root / "proc/sys"
    found: dict[str, str] = {}
    for folder, _folders, files in os.walk(top):
        for name in files:
            path = Path(folder, name)
            if name in NOT_READ or not os.access(path, os.W_OK):
                continue
            value = read_sysctl(path)
            if value is not None:
                found[sysctl_name(path.relative_to(top))] = value
    return found


def sysctl_name(relative: Path) -> str:
    """`net/ipv4/conf/eth0.1/x` is net.ipv4.conf.eth0/1.x."""
    return ".".join(part.replace(".", "/") for part in relative.parts)


def sysctl_path(name: str, root: Path = Path("/")) -> Path:
    """Where a parameter is; its name may use dots or slashes."""
    if "/" in name and ("." not in name or name.index("/") < name.index(".")):
        return root / "proc/sys" / name
    return root.joinpath("proc/sys", *(part.replace("/", ".") for part in name.split(".")))


def read_sysctl(path: Path) -> str | None:
    """The value, or None where there is none to be had."""
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return None if "\n" in text or len(text) > LONGEST else text


def units(root: Path = Path("/")) -> tuple[list[str], list[str]]:
    """Units that are wanted at boot, as links below /etc/systemd/system, and units that are masked."""
    top = root / "etc/systemd/system"
    wanted = {
        str(path.relative_to(top))
        for pattern in ("*.wants/*", "*.requires/*", "*.upholds/*")
        for path in top.glob(pattern)
        if path.is_symlink()
    }
    masked = {path.name for path in top.glob("*") if path.is_symlink() and os.readlink(path) == "/dev/null"}  # noqa: PTH115
    return sorted(wanted), sorted(masked)


def running() -> list[str]:
    """Services that run, as systemd tells; none where there is no systemd."""
    command = ["systemctl", "list-units", "--type=service", "--state=running", "--plain", "--no-legend", "--no-pager"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return []
    return sorted(line.split()[0] for line in told.splitlines() if line.strip())


def names(path: Path) -> list[str]:
    """The first field of each line of passwd or group."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    return sorted(line.split(":", 1)[0] for line in lines if ":" in line)
