# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files compared by digest, so that a look at a node carries neither their texts nor a secret to it."""

from __future__ import annotations

import grp
import hashlib
import os
import pwd
import stat
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any


def digests(files: Iterable[Mapping[str, Any]], restart: Iterable[str] = ()) -> list[dict[str, Any]]:
    """The list that node_files takes, with the digest of each text in its place, and whether a start reads the file."""
    read_at_start = set(restart)
    return [_digest(item, item["path"] in read_at_start) for item in files]


def _digest(item: Mapping[str, Any], restart: bool) -> dict[str, Any]:
    text = item.get("secret_content", item.get("content"))
    state = item.get("state", "file")
    result: dict[str, Any] = {"path": item["path"], "state": state, "restart": restart}
    if text is not None:
        result["sha256"] = hashlib.sha256(str(text).encode()).hexdigest()
    if state == "link":
        result["src"] = item["src"]
    mode = item.get("mode", ("0600" if "secret_content" in item else "0644") if state == "file" else None)
    if mode:
        result["mode"] = mode
    for name in ("owner", "group"):
        if item.get(name):
            result[name] = item[name]
    return result


def sha256(path: Path) -> str:
    """The digest of a file, empty where there is none."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""


def differing(wanted: Sequence[Mapping[str, Any]], root: Path = Path("/")) -> list[str]:
    """The paths that are not as wanted."""
    return [item["path"] for item in wanted if not _as_wanted(item, root / str(item["path"]).lstrip("/"))]


def _as_wanted(item: Mapping[str, Any], path: Path) -> bool:
    state = item["state"]
    if state == "absent":
        return not path.is_symlink() and not path.exists()
    if state == "link":
        return path.is_symlink() and str(path.readlink()) == item["src"]
    if state == "attributes" and not path.exists():
        return True
    kind = path.is_dir() if state == "directory" else path.exists() and not path.is_symlink()
    same = "sha256" not in item or sha256(path) == item["sha256"]
    return kind and same and _attributes_as_wanted(item, path.stat())


def _attributes_as_wanted(item: Mapping[str, Any], there: os.stat_result) -> bool:
    """What was not named: a file belongs to who writes it, a folder that is there keeps what it has."""
    if "mode" in item and stat.S_IMODE(there.st_mode) != int(str(item["mode"]), 8):
        return False
    file = item["state"] == "file"
    owner = _number("user", item["owner"]) if "owner" in item else os.geteuid() if file else there.st_uid
    group = _number("group", item["group"]) if "group" in item else os.getegid() if file else there.st_gid
    return (there.st_uid, there.st_gid) == (owner, group)


def _number(kind: str, name: str) -> int:
    """Of a user or group; -1 for one that is not there."""
    try:
        return pwd.getpwnam(name).pw_uid if kind == "user" else grp.getgrnam(name).gr_gid
    except KeyError:
        return int(name) if name.isdigit() else -1
