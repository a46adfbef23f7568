# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An image's layer as a root file system, run as a pod runs it but without a runtime: its own mounts and processes,
root read-only, its user. The network is this machine's."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# What a kubelet gives each pod, and the folders that it would make for mounts. $1 is the root, $2… mounts, then "--".
ENTER = """
set -eu
root=$1; shift
mount --bind "$root" "$root"
while [ "$1" != -- ]; do
  from=${1%%=*} to=$root${1#*=}; shift
  mkdir -p "$to"; mount --bind "$from" "$to"
done
shift
mkdir -p "$root/proc" "$root/tmp" "$root/dev" "$root/sys"
mount -t tmpfs -o mode=1777 none "$root/tmp"
mount --rbind /dev "$root/dev"
mount --rbind /sys "$root/sys"
mount -t proc none "$root/proc"
mount -o remount,bind,ro "$root"
exec chroot --userspec=65532:65532 --groups= "$root" "$@"
"""


@dataclass(frozen=True)
class ImageRoot:
    """The unpacked layer, and what its configuration says."""

    folder: Path
    config: Mapping[str, Any]

    def start(self, command: Sequence[str], mounts: Mapping[Path, str], log: Path) -> subprocess.Popen[bytes]:
        """The entry point with this command, the leader of a group that is to be ended as one (`end`)."""
        with log.open("wb") as output:
            return subprocess.Popen(
                self._entered(command, mounts), stdout=output, stderr=subprocess.STDOUT, start_new_session=True
            )

    def run(self, command: Sequence[str], mounts: Mapping[Path, str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self._entered(command, mounts), capture_output=True, text=True, timeout=120, check=False)

    def _entered(self, command: Sequence[str], mounts: Mapping[Path, str]) -> list[str]:
        given = [f"{path}={place}" for path, place in mounts.items()]
        inside = [*self.config["config"]["Entrypoint"], *command]
        enter = ["unshare", "--mount", "--pid", "--fork", "bash", "-c", ENTER, "enter"]
        return [*enter, str(self.folder), *given, "--", *inside]


def end(process: subprocess.Popen[bytes]) -> None:
    """All of what was started: the kernel forgets whom a child shall die with as soon as it becomes another user."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)


def unpack(archive: Path, to: Path) -> ImageRoot:
    """The only layer of an archive of ours."""
    with tarfile.open(archive) as whole:
        (listed,) = json.loads(_read(whole, "manifest.json"))
        config = json.loads(_read(whole, listed["Config"]))
        layer = whole.extractfile(listed["Layers"][0])
        assert layer is not None
        with tarfile.open(fileobj=layer) as members:
            members.extractall(to, filter="tar")
    return ImageRoot(to, config)


def _read(archive: tarfile.TarFile, name: str) -> bytes:
    stream = archive.extractfile(name)
    assert stream is not None, name
    return stream.read()
