# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A node as a stranger would compare it: every file with its digest, links, firewall, users, units and parameters."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.hosts import Host
from tests.site import Site

# What a machine that merely runs writes by itself.
VOLATILE = (
    *("/dev", "/proc", "/sys", "/tmp", "/var/tmp", "/root/.ansible", "/var/cache", "/var/lib/systemd", "/lost+found"),
    *("/var/log/journal", "/var/log/wtmp", "/var/log/btmp", "/var/log/lastlog", "/var/log/faillog", "/run"),
    # Copies that userdel leaves of files which are compared themselves.
    *("/etc/passwd-", "/etc/group-", "/etc/shadow-", "/etc/gshadow-", "/etc/subuid-", "/etc/subgid-"),
)
# Of /run only what a site would leave there.
LOOKED_AT_IN_RUN = ("/run/k3s", "/run/flannel", "/run/netns", "/run/systemd/system")

PROGRAM = (Path(__file__).parent / "life_listing_program.py").read_text(encoding="utf-8")


@dataclass(frozen=True)
class Listing:
    """One look at a node."""

    files: dict[str, Any]
    state: dict[str, list[str]]


def listing(site: Site, host: Host) -> Listing:
    """Look at everything; the program that does it comes along and leaves nothing behind."""
    places = f"'{json.dumps(VOLATILE)}' '{json.dumps(LOOKED_AT_IN_RUN)}'"
    told = site.ssh(host, f"python3 -B - {places} <<'END'\n{PROGRAM}END", timeout_seconds=120)
    return Listing(**json.loads(told))


def differences(before: Listing, after: Listing) -> str:
    """What is not as it was, one line each."""
    found = [
        f"{path}: {before.files.get(path, 'was not there')} is now {after.files.get(path, 'gone')}"
        for path in sorted(set(before.files) | set(after.files))
        if before.files.get(path) != after.files.get(path)
    ]
    for kind, was in before.state.items():
        now = after.state[kind]
        found += [f"{kind}: {line} is gone" for line in was if line not in now]
        found += [f"{kind}: {line} is new" for line in now if line not in was]
    return "\n".join(found)
