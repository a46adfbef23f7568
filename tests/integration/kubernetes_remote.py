# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands on one test host over ssh, and files brought there in one stream."""

from __future__ import annotations

import io
import subprocess
import tarfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.hosts import ssh
from tests.hosts.model import Host, HostSet

Content = bytes | Path


class Remote:
    """One host of a set, reached with the set's own key and known hosts only."""

    def __init__(self, host_set: HostSet, host: Host) -> None:
        self.host = host
        self._host_set = host_set

    def attempt(self, command: str, seconds: float = 120) -> subprocess.CompletedProcess[str]:
        """Run a shell command there and return how it ended, well or not."""
        return ssh.run(self._host_set, self.host, command, seconds)

    def run(self, command: str, seconds: float = 120) -> str:
        """Run a shell command that must succeed, and return what it said."""
        ended = self.attempt(command, seconds)
        if ended.returncode:
            said = (ended.stdout + ended.stderr)[-3000:]
            raise AssertionError(f"{self.host.name}: {command!r} ended with {ended.returncode}:\n{said}")
        return ended.stdout

    def place(self, files: Mapping[str, Content]) -> None:
        """Write files under absolute names: bytes are secret (0600), local files are programs or data (0755)."""
        command = ssh.ssh_command(self._host_set, self.host, ["tar -x --no-same-owner -p -f - -C /"])
        receiver = subprocess.Popen(command, stdin=subprocess.PIPE)
        assert receiver.stdin is not None
        with receiver.stdin, tarfile.open(fileobj=receiver.stdin, mode="w|") as stream:
            for name, content in files.items():
                if isinstance(content, Path):
                    member = stream.gettarinfo(content.resolve(), name.lstrip("/"))
                    member.mode = 0o755
                    with content.open("rb") as source:
                        stream.addfile(member, source)
                else:
                    member = tarfile.TarInfo(name.lstrip("/"))
                    member.size, member.mode = len(content), 0o600
                    stream.addfile(member, io.BytesIO(content))
        assert receiver.wait(timeout=300) == 0, f"{self.host.name}: the files did not arrive"


def wait_until(what: str, holds: Callable[[], bool], seconds: float = 60, journal: Callable[[], str] = str) -> None:
    """Ask again and again; when it takes too long, say what was awaited and what the journal has to say."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {seconds:.0f} s.\n{journal()}")
        time.sleep(0.3)
