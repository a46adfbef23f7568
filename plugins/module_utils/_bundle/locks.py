# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One run at a time for one cache and for one bundle; the kernel drops the lock when a run dies."""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from .errors import BundleError, StoppedError
from .files import disk_sentences
from .progress import Progress
from .swap import beside


@contextlib.contextmanager
def only_one(path: Path, what: str, wait: float, progress: Progress, cancel: threading.Event) -> Iterator[None]:
    """Hold the lock file `path`, after waiting at most `wait` seconds for another run."""
    with disk_sentences(path.parent, f"locking {what}"):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        _acquire(handle, what, wait, progress, cancel)
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(handle)


@contextlib.contextmanager
def only_one_bundle(path: Path, wait: float, progress: Progress, cancel: threading.Event) -> Iterator[None]:
    """Be the only one who replaces this bundle, whichever cache the other one uses."""
    with only_one(beside(path, "lock"), f"the bundle {path}", wait, progress, cancel):
        yield


def _acquire(handle: int, what: str, wait: float, progress: Progress, cancel: threading.Event) -> None:
    deadline = time.monotonic() + wait
    said = False
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            holder = os.pread(handle, 32, 0).decode(errors="replace").strip() or "unknown"
        if time.monotonic() >= deadline:
            raise BundleError(
                f"Another run (process {holder}) is using {what}, and it did not finish within {wait:.0f} s. "
                "Nothing was changed here. Run this again when that one has ended."
            )
        if not said:
            progress.say(f"waiting for another run (process {holder}) that is using {what}")
            said = True
        if cancel.wait(0.5):
            raise StoppedError(f"Stopped while waiting for {what}.")
