# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks at a host over ssh and asks all controls of it."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

from tests.hosts import Host, HostSet, ssh_command

from . import linux, ssh
from .model import Facts, Verdict, judge

CONTROLS = (*linux.CONTROLS, *ssh.CONTROLS)


def look(host_set: HostSet, host: Host) -> Facts:
    """One round trip: the program goes there with the names that the controls ask for."""
    names = sorted(
        {
            match.replace("__", ".")
            for match in re.findall(
                r"\b((?:net|kernel|fs|vm)__[a-z0-9_]+)=", Path(linux.__file__).read_text(encoding="utf-8")
            )
        }
        | {"kernel.core_pattern"}
    )
    program = (Path(__file__).parent / "look.py").read_text(encoding="utf-8")
    remote = f"python3 -c {_quoted(program)}"
    done = subprocess.run(
        ssh_command(host_set, host, [remote]),
        input=json.dumps({"parameters": names}),
        check=True,
        capture_output=True,
        text=True,
        timeout=900,
    )
    return Facts(json.loads(done.stdout))


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\"'\"'") + "'"


def audit(host_set: HostSet, host: Host) -> tuple[Verdict, ...]:
    """How each control ends there."""
    return judge(CONTROLS, look(host_set, host))
