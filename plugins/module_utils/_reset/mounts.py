# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Mounts below folders of ours: what k3s mounted is unmounted, a disk of the operator's is emptied and stays."""

from __future__ import annotations

import re
import time

from .errors import ResetError
from .owned import DISKS, OURS_TO_UNMOUNT, TREES, is_below
from .system import System

ATTEMPTS = 5


class Mounts:
    """The mount points below what a reset takes away, deepest first."""

    def __init__(self, system: System) -> None:
        self._system = system

    def look(self) -> list[str]:
        return [f"mount {point}" for point in self._ours()]

    def clear(self) -> None:
        for attempt in range(ATTEMPTS):
            ours = self._ours()
            if not ours:
                return
            if attempt:
                time.sleep(0.3 * attempt)
            for point in ours:
                # A mount that a dying process still holds is let go of lazily; nothing is deleted while it is listed.
                options = ["-l"] if attempt >= ATTEMPTS - 2 else []
                self._system.run(["umount", *options, point])

    def refuse_strangers(self) -> None:
        """A file system that somebody else mounted below a folder of ours must not be emptied by surprise."""
        strangers = [point for point in self._points() if not _is_ours(point) and point not in DISKS]
        if strangers:
            raise ResetError(
                f"Somebody mounted {', '.join(strangers)} below folders that a reset takes away. Nothing was changed. "
                f"See whose it is, then: umount {' '.join(strangers)}, and run this again."
            )

    def refuse_what_is_left(self) -> None:
        """Before files go: what is still mounted would be emptied through its mount point."""
        left = self._ours()
        if left:
            raise ResetError(
                f"{', '.join(left[:5])} cannot be unmounted, and deleting would reach through, so no file was deleted. "
                "See what holds it (fuser -vm), end that, or reboot the node; then run this again."
            )

    def _ours(self) -> list[str]:
        return [point for point in self._points() if _is_ours(point)]

    def _points(self) -> list[str]:
        text = self._system.path("/proc/self/mountinfo").read_text(encoding="utf-8")
        points = [point for point in mount_points(text) if is_below(point, TREES)]
        return sorted(points, key=lambda point: (point.count("/"), point), reverse=True)


def mount_points(mountinfo: str) -> list[str]:
    """The fifth field of each line, its octal escapes undone."""
    return [
        re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), line.split()[4])
        for line in mountinfo.splitlines()
        if len(line.split()) > 4
    ]


def _is_ours(point: str) -> bool:
    return point not in DISKS and is_below(point, OURS_TO_UNMOUNT)
