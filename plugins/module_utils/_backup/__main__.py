# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the node's own timer runs: a backup without any controller, and then what waits is sent."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TextIO

from .errors import BackupError
from .make import make
from .settings import SETTINGS, Settings
from .shelf import prune, send


def say(text: str, to: TextIO = sys.stdout) -> None:
    to.write(f"{text}\n")


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="holdfast-backup", description="Make a sealed backup of this site and send it."
    )
    parser.add_argument("--settings", type=Path, default=Path(SETTINGS))
    arguments = parser.parse_args()
    try:
        settings = Settings.read(arguments.settings)
        made = make(settings)
        removed = prune(settings.folder, settings.site, settings.keep)
    except BackupError as error:
        say(str(error), sys.stderr)
        return 1
    say(
        f"{made.path} holds {made.snapshot.keys} keys at revision {made.snapshot.revision} from "
        f"{made.member.endpoint}, {made.size} bytes, sha256 {made.sha256}; {len(removed)} older ones removed"
    )
    if settings.store:
        sending = send(settings)
        say(f"sent {len(sending.sent)}, waiting {len(sending.waiting)}")
        if sending.problem:
            say(sending.problem, sys.stderr)
            return 1 if settings.store_required else 0
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
