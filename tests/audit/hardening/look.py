# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sent to a host and run there: prints as JSON all that the controls ask about. Standard library only, only looks."""

from __future__ import annotations

import grp
import json
import os
import pwd
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

FILES = (
    *("/etc/shadow", "/etc/passwd", "/etc/login.defs", "/etc/hosts.equiv", "/var/log", "/etc/crontab", "/etc/cron.d"),
    *("/etc/cron.hourly", "/etc/cron.daily", "/etc/cron.weekly", "/etc/cron.monthly"),
    *("/etc/ssh", "/etc/ssh/sshd_config", "/etc/ssh/ssh_config"),
)


def said(*command: str) -> str:
    """What a command prints; nothing where it fails or is not there."""
    try:
        return subprocess.run(command, check=False, capture_output=True, text=True, timeout=300).stdout
    except OSError:
        return ""


def text(path: str) -> str:
    """A file's content; nothing where it cannot be read."""
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def matching(*patterns: str) -> list[str]:
    """The paths that fit."""
    return [str(path) for pattern in patterns for path in Path("/").glob(pattern)]


def about(path: str) -> dict[str, Any]:
    """Kind, mode, owner and group of a path."""
    try:
        seen = os.lstat(path)
    except OSError:
        return {}
    return {
        "folder": stat.S_ISDIR(seen.st_mode),
        "file": stat.S_ISREG(seen.st_mode),
        "mode": stat.S_IMODE(seen.st_mode),
        "owner": pwd.getpwuid(seen.st_uid).pw_name,
        "group": grp.getgrgid(seen.st_gid).gr_name,
    }


def parameters(names: list[str]) -> dict[str, str]:
    """Kernel parameters; those that this kernel lacks are left out."""
    found = {name: text("/proc/sys/" + name.replace(".", "/")).strip() for name in names}
    return {name: value for name, value in found.items() if value}


def privileged() -> list[str]:
    """Programs that run with more rights than whoever starts them."""
    return said("find", "/", "-xdev", "-type", "f", "(", "-perm", "-4000", "-o", "-perm", "-2000", ")").splitlines()


def main() -> None:
    names = json.load(sys.stdin)["parameters"]
    print(
        json.dumps(
            {
                "files": {path: about(path) for path in FILES},
                "accounts": [line.split(":") for line in text("/etc/passwd").splitlines()],
                "groups": [line.split(":") for line in text("/etc/group").splitlines()],
                "path": os.environ.get("PATH", "").split(":"),
                "login_defs": text("/etc/login.defs"),
                "parameters": parameters(names),
                "privileged": privileged(),
                "entropy": int(text("/proc/sys/kernel/random/entropy_avail") or 0),
                "trusting": matching("root/.rhosts", "root/.netrc", "home/*/.rhosts", "home/*/.netrc"),
                "modprobe": said("modprobe", "--showconfig"),
                "efi": Path("/sys/firmware/efi").is_dir(),
                "weaknesses": {
                    Path(path).name: text(path).strip() for path in matching("sys/devices/system/cpu/vulnerabilities/*")
                },
                "processor_flags": text("/proc/cpuinfo").partition("\nflags")[2].partition("\n")[0].split(),
                "mounts": [line.split() for line in text("/proc/mounts").splitlines()],
                "packages": said(
                    "dpkg-query", "--show", "--showformat", "${db:Status-Status} ${Package}\\n"
                ).splitlines(),
                "auditd": text("/etc/audit/auditd.conf"),
                "sshd": said("/usr/sbin/sshd", "-T"),
                "ssh": said("ssh", "-G", "-F", "/etc/ssh/ssh_config", "nobody.invalid"),
                "ssh_version": subprocess.run(["ssh", "-V"], capture_output=True, text=True, check=False).stderr,
                "sshd_commands": said("pgrep", "--list-full", "--exact", "sshd").splitlines(),
                "ssh_configuration": "".join(
                    text(path) for path in [*matching("etc/ssh/sshd_config.d/*.conf"), "/etc/ssh/sshd_config"]
                ),
                "moduli": text("/etc/ssh/moduli"),
            }
        )
    )


if __name__ == "__main__":
    main()
