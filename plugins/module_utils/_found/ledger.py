# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was at a path before Holdfast touched it for the first time.

The ledger is written before the change, so a change that never came about is noted too; that does no harm, since then
what was found is what is there. Paths that are wholly ours are not noted: a reset takes them away as they are.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from .._disk import sync_folder
from .state import State, look_at_state

FOLDER = Path("/var/lib/holdfast/found")
# A reset takes these away whole, whatever is in them; the last ones belong to nobody for long.
NOT_NOTED = (
    *("/etc/holdfast", "/etc/rancher", "/usr/local/lib/holdfast"),
    *("/var/lib/holdfast", "/var/lib/rancher", "/var/lib/etcd", "/var/lib/kubelet"),
    *("/run", "/tmp", "/var/tmp", "/proc", "/sys", "/dev"),
)
# Of these the folder itself is noted, since a disk may have been mounted there before us.
NOTED_ITSELF = ("/var/lib/etcd", "/var/lib/kubelet", "/var/lib/rancher")


@dataclass(frozen=True)
class Found:
    """One path as it was. `kind` is none, file, folder, link or other; `copy` names the kept content."""

    kind: str
    mode: int = 0
    uid: int = 0
    gid: int = 0
    target: str = ""
    copy: str = ""


@dataclass(frozen=True)
class Ledger:
    """All that was noted on this node; `state` is None where nothing was."""

    paths: Mapping[str, Found]
    state: State | None


def remember(paths: Iterable[Path], folder: Path = FOLDER) -> tuple[str, ...]:
    """Note what is at these paths, each only once in the node's life; which of them were new to the ledger."""
    wanted = [path for path in paths if not _is_ours(path)]
    if not wanted:
        return ()
    ledger = read(folder)
    new = [path for path in dict.fromkeys(wanted) if str(path) not in ledger.paths]
    if not new:
        return ()
    _make(folder)
    noted = {**ledger.paths}
    for path in new:
        noted[str(path)] = _look(path, folder, f"{len(noted):04d}")
    _write(folder, noted, ledger.state or look_at_state())
    return tuple(str(path) for path in new)


def read(folder: Path = FOLDER) -> Ledger:
    """The ledger of this node, empty where there is none."""
    try:
        written = json.loads((folder / "ledger.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return Ledger({}, None)
    paths = {path: Found(**entry) for path, entry in written["paths"].items()}
    return Ledger(paths, State(**written["state"]))


def content_of(found: Found, folder: Path = FOLDER) -> bytes:
    """What was in a file."""
    return (folder / "files" / found.copy).read_bytes()


def _is_ours(path: Path) -> bool:
    below = any(str(path) == place or str(path).startswith(f"{place}/") for place in NOT_NOTED)
    return below and str(path) not in NOTED_ITSELF


def _look(path: Path, folder: Path, name: str) -> Found:
    try:
        stats = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return Found("none")
    mode, uid, gid = stat.S_IMODE(stats.st_mode), stats.st_uid, stats.st_gid
    if stat.S_ISLNK(stats.st_mode):
        return Found("link", mode, uid, gid, target=os.readlink(path))  # noqa: PTH115  # as it is written in the link
    if stat.S_ISDIR(stats.st_mode):
        return Found("folder", mode, uid, gid)
    if not stat.S_ISREG(stats.st_mode):
        return Found("other", mode, uid, gid)
    _put(folder / "files" / name, path.read_bytes())
    return Found("file", mode, uid, gid, copy=name)


def _make(folder: Path) -> None:
    for each in (folder.parent, folder, folder / "files"):
        each.mkdir(mode=0o755 if each == folder.parent else 0o700, parents=True, exist_ok=True)


def _write(folder: Path, paths: Mapping[str, Found], state: State) -> None:
    written = {"paths": {path: asdict(found) for path, found in paths.items()}, "state": asdict(state)}
    sync_folder(folder / "files")
    _put(folder / "ledger.json", json.dumps(written, indent=1, sort_keys=True).encode() + b"\n")
    sync_folder(folder)


def _put(path: Path, content: bytes) -> None:
    """A file that only root may read, whole or not at all."""
    temporary = path.with_name(f".{path.name}.new")
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(handle)
    temporary.replace(path)
