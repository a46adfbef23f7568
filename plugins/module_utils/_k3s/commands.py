# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs of the node, run without a shell and never for longer than a while."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Ended:
    """How a program ended."""

    code: int
    output: str


Run = Callable[[Sequence[str]], Ended]


def run(command: Sequence[str], seconds: float = 30) -> Ended:
    """Run it and return its output; a program that is not there or does not end has the code 127 or 124."""
    try:
        done = subprocess.run(
            list(command),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            timeout=seconds,
            check=False,
        )
    except FileNotFoundError:
        return Ended(127, f"{command[0]} is not there")
    except subprocess.TimeoutExpired:
        return Ended(124, f"{command[0]} did not end within {seconds:.0f} s")
    return Ended(done.returncode, done.stdout.decode("utf-8", "replace"))
