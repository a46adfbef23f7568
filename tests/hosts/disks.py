# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The data disk of a container host: a sparse file with a file system of its own, so that it can really run full.

A box at the edge has one disk. Here every folder that grows (DATA_FOLDERS) lies on one bounded ext4, mounted on the
machine and bound into the container. A full disk is then a true ENOSPC for etcd, kubelet and models alike, while the
machine's own disk stays as it is; and it is no overlay, which containerd's own overlay could not be stacked on.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

from .model import Host, HostsError, HostSet

DATA_FOLDERS = ("containerd", "etcd", "holdfast", "kubelet", "rancher")
"""Folders below /var/lib that lie on the data disk."""

FILLER = ".filler"
PROGRAMS = {"mkfs.ext4": "e2fsprogs", "mount": "mount", "umount": "mount"}


def mount_point(host_set: HostSet, host: Host) -> Path:
    """Return where the machine sees the host's disk."""
    return host_set.directory / "data" / host.name


def ensure_disk(host_set: HostSet, host: Host, size_gb: int) -> Path:
    """Make the disk if it is not there and mount it; safe to repeat."""
    image = _image(host_set, host)
    if not image.exists():
        _make_file_system(image, size_gb)
    return mount_disk(host_set, host)


def mount_disk(host_set: HostSet, host: Host) -> Path:
    """Mount the disk if it is not; also after the machine itself was started again."""
    point = mount_point(host_set, host)
    image = _image(host_set, host)
    if not image.exists():
        raise HostsError(
            f"{host.name}: its disk {image} is gone. Run 'up --name {host_set.name}' to make the set again."
        )
    point.mkdir(parents=True, exist_ok=True)
    if point.is_mount():
        return point
    # Inode tables are written when they are needed, so that the sparse file stays small.
    done = subprocess.run(
        ["mount", "-o", "loop,noinit_itable", str(image), str(point)], check=False, capture_output=True, text=True
    )
    if done.returncode != 0:
        raise HostsError(
            f"{host.name}: its disk could not be mounted ({done.stderr.strip()}). Container hosts need loop devices "
            f"and ext4 on this machine; look at 'losetup --list', then run this again. The disk is {image}."
        )
    for folder in DATA_FOLDERS:
        (point / folder).mkdir(mode=0o755, exist_ok=True)
    return point


def release_all(host_set: HostSet) -> None:
    """Unmount every disk of the set, and raise HostsError if one cannot be."""
    for point in _mounted_below(host_set.directory):
        for attempt in range(50):
            if subprocess.run(["umount", str(point)], check=False, capture_output=True).returncode == 0:
                break
            # The engine lets go of a container's mounts a moment after the container is gone.
            time.sleep(0.1 if attempt < 30 else 0.3)
        else:
            raise HostsError(
                f"{host_set.name}: {point} is still in use and was not unmounted; nothing else of the set is left. "
                f"End what uses it (fuser -vm {point}), then run 'down {host_set.name}' again."
            )


def fill(host_set: HostSet, host: Host, leave_bytes: int) -> int:
    """Take all space but that much with one file outside the host's sight; return what is free then."""
    point = _mounted(host_set, host)
    filler = point / FILLER
    filler.unlink(missing_ok=True)
    size = 0
    step = 1 << 30
    with filler.open("wb") as stream:
        while step >= 4096:
            room = free_bytes(point) - leave_bytes
            grow = min(step, room - room % 4096)
            if grow <= 0:
                break
            try:
                os.posix_fallocate(stream.fileno(), size, grow)
                size += grow
            except OSError:
                # The last blocks go to the file system's own bookkeeping.
                step //= 4
    return free_bytes(point)


def unfill(host_set: HostSet, host: Host) -> None:
    """Give the space back; safe to repeat."""
    point = mount_point(host_set, host)
    if point.is_mount():
        (point / FILLER).unlink(missing_ok=True)


def free_bytes(point: Path) -> int:
    """Return how much a program on that disk could still write."""
    status = os.statvfs(point)
    return status.f_bavail * status.f_frsize


def missing_programs() -> dict[str, str]:
    """Return the programs that are not there, each with the Debian package that brings it."""
    return {program: package for program, package in PROGRAMS.items() if shutil.which(program) is None}


def _image(host_set: HostSet, host: Host) -> Path:
    return host_set.directory / "disks" / f"{host.name}.img"


def _make_file_system(image: Path, size_gb: int) -> None:
    image.parent.mkdir(parents=True, exist_ok=True)
    scratch = image.with_suffix(".new")
    with scratch.open("wb") as stream:
        stream.truncate(size_gb << 30)
    done = subprocess.run(
        ["mkfs.ext4", "-q", "-F", "-m", "0", "-E", "lazy_itable_init=1,lazy_journal_init=1,nodiscard", str(scratch)],
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        scratch.unlink(missing_ok=True)
        raise HostsError(f"The disk {image} could not be made: {done.stderr.strip()}. Nothing half-made was kept.")
    scratch.rename(image)


def _mounted(host_set: HostSet, host: Host) -> Path:
    point = mount_point(host_set, host)
    if not point.is_mount():
        raise HostsError(
            f"{host.name}: its disk is not mounted, so the machine was started again since. "
            f"Run 'up --name {host_set.name}' to bring the set back."
        )
    return point


def _mounted_below(directory: Path) -> list[Path]:
    prefix = str(directory.resolve()) + "/"
    found = []
    for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines():
        # The kernel writes spaces in a path as octal escapes.
        point = line.split()[4].encode("ascii", "backslashreplace").decode("unicode_escape")
        if point.startswith(prefix):
            found.append(Path(point))
    return sorted(found, reverse=True)
