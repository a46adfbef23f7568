# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the parts of a reset reach the node: commands with a deadline, and its file system."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from shutil import which


@dataclass(frozen=True)
class Answer:
    """How a command ended."""

    status: int
    printed: str
    complained: str


class System:
    """One node. In tests `root` is a folder that looks like one, and `run` is replaced."""

    def __init__(self, root: Path = Path("/")) -> None:
        self.root = root

    def path(self, absolute: str) -> Path:
        return self.root / absolute.lstrip("/")

    def run(self, command: Sequence[str], seconds: float = 30.0, given: str | None = None) -> Answer:
        """Run a command that may fail; one that is not installed, or takes too long, counts as failed."""
        if which(command[0]) is None:
            return Answer(127, "", f"{command[0]} is not installed")
        try:
            done = subprocess.run(  # fixed commands, no shell
                list(command), input=given, capture_output=True, text=True, timeout=seconds, check=False
            )
        except subprocess.TimeoutExpired:
            return Answer(124, "", f"{' '.join(command)} took longer than {seconds:.0f} s")
        return Answer(done.returncode, done.stdout, done.stderr)
