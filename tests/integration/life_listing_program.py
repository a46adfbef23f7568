# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on a node, sent there over ssh: prints everything that the node is, as JSON."""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import subprocess
import sys

# Base chains without a rule that let everything through: iptables makes all of a table at once.
MEANINGLESS = re.compile(r"\s*(chain (INPUT|OUTPUT|FORWARD|PREROUTING|POSTROUTING) \{|type .* policy accept;|\})?\s*")
MOVING = ("nf_conntrack_count", "stable_secret", "neigh", "cache_stats", "conf.veth")
NOT_PROGRAMS = ("kworker", "sshd", "python", "ps", "sh", "systemd-", "(sd-pam)")


def note(path: str, found: dict[str, list[object]]) -> None:
    try:
        stats = os.lstat(path)
    except FileNotFoundError:
        return
    entry: list[object] = [stat.filemode(stats.st_mode), stats.st_uid, stats.st_gid]
    if stat.S_ISLNK(stats.st_mode):
        entry.append(os.readlink(path))  # noqa: PTH115
    elif stat.S_ISREG(stats.st_mode) and not path.startswith("/run/netns/"):
        with open(path, "rb") as stream:  # noqa: PTH123
            entry.append(hashlib.sha256(stream.read()).hexdigest()[:16])
    found[path] = entry


def walk(top: str, volatile: list[str], found: dict[str, list[object]]) -> None:
    note(top, found)
    for folder, folders, files in os.walk(top):
        folders[:] = [
            name
            for name in folders
            if os.path.join(folder, name) not in volatile and name not in ("__pycache__", "lost+found")  # noqa: PTH118
        ]
        for name in folders + files:
            path = os.path.join(folder, name)  # noqa: PTH118
            if path not in volatile and not path.endswith(".pyc"):
                note(path, found)


def told(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


def lines(*command: str) -> list[str]:
    return [line for line in told(*command).splitlines() if line and not line.startswith("#")]


def first_words(*command: str) -> list[str]:
    return sorted(line.split()[0] for line in lines(*command))


def units(kind: str, *more: str) -> list[str]:
    names = first_words("systemctl", "list-units", f"--type={kind}", *more, "--plain", "--no-legend")
    return [name for name in names if not name.startswith(("session", "user"))]


def state() -> dict[str, list[str]]:
    with open("/proc/self/mountinfo", encoding="utf-8") as stream:  # noqa: PTH123
        mounts = [line.split()[4] for line in stream]
    addresses = json.loads(told("ip", "-json", "address"))
    return {
        "links": sorted(link["ifname"] for link in addresses),
        "addresses": sorted(address["local"] for link in addresses for address in link["addr_info"]),
        "routes": sorted(lines("ip", "route")),
        "namespaces": lines("ip", "netns", "list"),
        "nft": [line for line in lines("nft", "--stateless", "list", "ruleset") if not MEANINGLESS.fullmatch(line)],
        "iptables": [line for line in lines("iptables-save") if line[:1] not in (":", "*", "C")],
        "xfrm": lines("ip", "xfrm", "policy"),
        "enabled": first_words("systemctl", "list-unit-files", "--state=enabled", "--no-legend"),
        "masked": first_words("systemctl", "list-unit-files", "--state=masked", "--no-legend"),
        "running": units("service", "--state=running"),
        "slices": units("slice"),
        "failed": lines("systemctl", "--failed", "--plain", "--no-legend"),
        "mounts": sorted(mount for mount in mounts if not mount.startswith(("/proc", "/sys", "/run/user"))),
        "sysctls": sorted(
            line
            for line in lines("sysctl", "-a")
            if line.startswith("net.") and not any(word in line for word in MOVING)
        ),
        "programs": sorted({line for line in lines("ps", "-eo", "comm=") if not line.startswith(NOT_PROGRAMS)}),
    }


def main() -> None:
    volatile, in_run = json.loads(sys.argv[1]), json.loads(sys.argv[2])
    found: dict[str, list[object]] = {}
    walk("/", volatile, found)
    for place in in_run:
        if os.path.exists(place):  # noqa: PTH110
            walk(place, volatile, found)
    print(json.dumps({"files": found, "state": state()}))


if __name__ == "__main__":
    main()
