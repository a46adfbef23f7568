# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ends the work when the playbook that wants it is gone: nobody would read the result, and the next run would wait."""

from __future__ import annotations

import fcntl
import os
import signal
import threading
from pathlib import Path

INTERVAL_SECONDS = 1.0


def watch_reader(path: Path, cancel: threading.Event) -> None:
    """The reader of the progress file holds a lock on it as long as it lives. When the lock is free, stop."""
    threading.Thread(target=_watch, args=(path, cancel), name="watch", daemon=True).start()


def _watch(path: Path, cancel: threading.Event) -> None:
    while not cancel.wait(INTERVAL_SECONDS):
        if not _reader_lives(path):
            # The main thread turns it into an orderly end.
            os.kill(os.getpid(), signal.SIGTERM)
            return


def _reader_lives(path: Path) -> bool:
    try:
        handle = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return False
    except OSError:
        # Another user's file: nothing can be known, so nothing is ended.
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False
