# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Locks between commands that run at the same time. The kernel drops them with their holder, so none goes stale."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from .model import HostsError
from .paths import hosts_root


@contextmanager
def lock(name: str, *, shared: bool = False, busy: str = "", wait_seconds: float = 0.0) -> Iterator[int]:
    """Hold the lock of that name and yield its descriptor; after the wait, raise HostsError with the ``busy`` sentence.

    The file stays when the lock is released: deleting it would let two holders lock two different files.
    """
    folder = hosts_root() / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / f"{name}.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _take(descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX, busy, wait_seconds)
        yield descriptor
    finally:
        os.close(descriptor)


def _take(descriptor: int, kind: int, busy: str, wait_seconds: float) -> None:
    deadline = time.monotonic() + wait_seconds
    while True:
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() >= deadline:
                raise HostsError(busy) from error
            time.sleep(0.1)
        else:
            return
