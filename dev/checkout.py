# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A copy of the checkout as a fresh clone would have it, uncommitted work included."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from dev.paths import ROOT


def files() -> list[str]:
    """Names of the files that git tracks, or would track when they were added."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE)
    names = sorted(filter(None, listing.stdout.decode().split("\0")))
    return [name for name in names if (ROOT / name).is_symlink() or (ROOT / name).exists()]


def copy(target: Path, wanted: Callable[[str], bool] = lambda name: True) -> None:
    """Make `target` hold those of the files that are wanted, and nothing else, as a git checkout."""
    shutil.rmtree(target, ignore_errors=True)
    for name in filter(wanted, files()):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target / name, follow_symlinks=False)
    subprocess.run(["git", "init", "--quiet"], cwd=target, check=True)
    subprocess.run(["git", "add", "--all"], cwd=target, check=True)
