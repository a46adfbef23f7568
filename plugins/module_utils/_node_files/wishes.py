# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wanted of each path, judged before anything is looked at."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import FilesError

MODE = re.compile(r"0[0-7]{3,4}")
UNSEEN = re.compile(r"[\x00-\x1f\x7f]")
NOTHING = "Nothing was changed."


@dataclass(frozen=True)
class Wish:
    """One path as it shall be. `content` is text for a file; None where only its attributes are wanted."""

    path: Path
    state: str
    content: str | None
    secret: bool
    src: str
    mode: int | None
    owner: str | None
    group: str | None
    validate: tuple[str, ...]


def read_wishes(items: Sequence[Mapping[str, Any]]) -> tuple[Wish, ...]:
    """All wishes, or all that is wrong with them in one sentence each."""
    wishes: list[Wish] = []
    wrong: list[str] = []
    seen: set[str] = set()
    for item in items:
        faults = _faults(item)
        path = str(item["path"])
        if path in seen:
            faults.append("it is named twice")
        seen.add(path)
        if faults:
            wrong.append(f"{path!r}: {', '.join(faults)}")
        else:
            wishes.append(_wish(item))
    if wrong:
        raise FilesError(f"These files cannot be wanted: {'; '.join(wrong)}. {NOTHING}")
    return tuple(wishes)


def _faults(item: Mapping[str, Any]) -> list[str]:
    path, state = str(item["path"]), item["state"]
    texts = [name for name in ("content", "secret_content") if item.get(name) is not None]
    mode = item.get("mode")
    found = [
        (not path.startswith("/"), "its path must be absolute"),
        (".." in path.split("/"), "its path must not contain '..'"),
        (
            path.startswith("/") and ".." not in path.split("/") and os.path.normpath(path) != path,
            f"write its path as {os.path.normpath(path)}",
        ),
        (path == "/", "it is the root of the file system"),
        (bool(UNSEEN.search(path)), "its path has characters that cannot be seen"),
        (len(texts) > 1, "it has content and secret_content"),
        (state == "file" and not texts, "it has neither content nor secret_content"),
        (state != "file" and bool(texts), f"content is not for state {state}"),
        (state == "link" and not item.get("src"), "a link needs src"),
        (state != "link" and bool(item.get("src")), "src is for links only"),
        (
            state in ("link", "absent") and any(item.get(name) is not None for name in ("mode", "owner", "group")),
            f"state {state} has no mode, owner or group",
        ),
        (
            mode is not None and not MODE.fullmatch(str(mode)),
            f"mode {mode!r} is not one such as '0644' (keep the quotes)",
        ),
        (bool(item.get("validate")) and state != "file", "validate is for files with content only"),
        (
            bool(item.get("validate")) and not any("%s" in part for part in item["validate"]),
            "validate must contain %s, which stands for the file to judge",
        ),
    ]
    found += [
        (
            not isinstance(item[name], str),
            f"{name} is not text but a {type(item[name]).__name__}; add | to_nice_yaml or | to_json",
        )
        for name in texts
    ]
    return [text for holds, text in found if holds]


def _wish(item: Mapping[str, Any]) -> Wish:
    secret = item.get("secret_content") is not None
    state = str(item["state"])
    mode = item.get("mode")
    if mode is None and state == "file":
        mode = "0600" if secret else "0644"
    return Wish(
        path=Path(item["path"]),
        state=state,
        content=item["secret_content"] if secret else item.get("content"),
        secret=secret,
        src=item.get("src") or "",
        mode=None if mode is None else int(str(mode), 8),
        owner=item.get("owner"),
        group=item.get("group"),
        validate=tuple(item.get("validate") or ()),
    )
