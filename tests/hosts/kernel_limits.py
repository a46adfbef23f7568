# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Limits of the one kernel that all container hosts share, which Debian sets for a single machine."""

from __future__ import annotations

from pathlib import Path

from .model import Report

WANTED = {
    # systemd takes 5, a Kubernetes node about 20; the 128 of a fresh machine are used up by six nodes.
    "fs/inotify/max_user_instances": 8192,
    "fs/inotify/max_user_watches": 524288,
}


def raise_limits(report: Report, root: Path = Path("/proc/sys")) -> None:
    """Raise what is too low for a dozen nodes; where that is forbidden, say what may happen."""
    for name, wanted in WANTED.items():
        path = root / name
        there = int(path.read_text(encoding="ascii"))
        if there >= wanted:
            continue
        try:
            path.write_text(f"{wanted}\n", encoding="ascii")
            report(f"Raised {name.replace('/', '.')} of this machine from {there} to {wanted} (until its next boot).")
        except OSError as error:
            report(
                f"{name.replace('/', '.')} of this machine is {there} and could not be raised ({error.strerror}); "
                "more than five Kubernetes nodes at once will fail with 'too many open files'."
            )
