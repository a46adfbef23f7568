# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way into the hosts that these tests take: one ssh connection each, kept open, as they ask hundreds of times."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.hosts import ssh_command
from tests.hosts.model import Host, HostSet
from tests.integration.kubernetes_remote import Remote


class Reach(Remote):
    """A host behind a connection that is opened at the first question and closed with the run."""

    def __init__(self, host_set: HostSet, host: Host, folder: Path) -> None:
        super().__init__(host_set, host)
        self._set = host_set
        self._socket = folder / host.name

    def attempt(self, command: str, seconds: float = 120) -> subprocess.CompletedProcess[str]:
        """Run a shell command there and return how it ended, well or not."""
        return subprocess.run(
            self._command(_KEEP, [command]),
            check=False,
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=seconds,
        )

    def hang_up(self) -> None:
        """Close the connection: after a fault it may lead nowhere."""
        subprocess.run(self._command(["-O", "exit"], []), check=False, capture_output=True, timeout=30)

    def _command(self, options: Sequence[str], remote: Sequence[str]) -> list[str]:
        program, *rest = ssh_command(self._set, self.host, remote)
        return [program, "-o", f"ControlPath={self._socket}", *options, *rest]


_KEEP = [
    *("-o", "ControlMaster=auto", "-o", "ControlPersist=600"),
    *("-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=2"),
]
