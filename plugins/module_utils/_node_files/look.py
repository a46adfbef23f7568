# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is there, and how it differs from what is wanted."""

from __future__ import annotations

import grp
import os
import pwd
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from .._disk import link_target
from .errors import FilesError
from .wishes import NOTHING, Wish

# More than this of a file that is there is not shown as a difference.
LARGEST_SHOWN = 200_000


@dataclass(frozen=True)
class Attributes:
    """Mode and numbers of owner and group."""

    mode: int
    uid: int
    gid: int

    def __str__(self) -> str:
        return f"mode: {self.mode:04o}\nowner: {_name_of_user(self.uid)}\ngroup: {_name_of_group(self.gid)}\n"


@dataclass(frozen=True)
class Seen:
    """One path as it is. `kind` is none, file, folder, link or other."""

    kind: str
    attributes: Attributes | None
    content: bytes | None
    target: str = ""


@dataclass(frozen=True)
class Step:
    """One path whose content, kind or attributes differ. `attributes` are those that it shall have."""

    wish: Wish
    seen: Seen
    attributes: Attributes | None
    rewrite: bool

    @property
    def path(self) -> Path:
        return self.wish.path


def steps(wishes: Sequence[Wish], check_mode: bool = False) -> tuple[Step, ...]:
    """Every path that differs, in the order in which it was wanted; what cannot be changed is refused."""
    wrong: list[str] = []
    found: list[Step] = []
    made: set[Path] = set()
    for wish in wishes:
        seen = look(wish)
        problem = _problem(wish, seen, made, check_mode)
        if problem:
            wrong.append(f"{wish.path} {problem}")
            continue
        if wish.state == "directory":
            made.add(wish.path)
        try:
            step = _step(wish, seen, check_mode)
        except FilesError as error:
            wrong.append(str(error))
            continue
        if step:
            found.append(step)
    if wrong:
        raise FilesError(f"{'; '.join(wrong)}. {NOTHING}")
    return tuple(found)


def look(wish: Wish) -> Seen:
    """Read what is at the path; a link to a folder counts as that folder where a folder is wanted."""
    try:
        stats = wish.path.stat() if wish.state == "directory" else wish.path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        # A folder that is wanted may be a link that leads nowhere.
        return (
            Seen("link", None, None, link_target(wish.path) or "")
            if wish.path.is_symlink()
            else Seen("none", None, None)
        )
    attributes = Attributes(stat.S_IMODE(stats.st_mode), stats.st_uid, stats.st_gid)
    if stat.S_ISLNK(stats.st_mode):
        return Seen("link", attributes, None, link_target(wish.path) or "")
    if stat.S_ISDIR(stats.st_mode):
        return Seen("folder", attributes, None)
    if not stat.S_ISREG(stats.st_mode):
        return Seen("other", attributes, None)
    wanted = wish.content is not None or (wish.state in ("absent", "link") and stats.st_size <= LARGEST_SHOWN)
    return Seen("file", attributes, wish.path.read_bytes() if wanted else None)


def _problem(wish: Wish, seen: Seen, made: set[Path], check_mode: bool) -> str:
    """Why the wish cannot be had here; empty where it can."""
    spoken = {"folder": "a folder", "other": "a device, a socket or a pipe", "link": "a link", "file": "a file"}.get(
        seen.kind
    )
    allowed = {
        "file": ("none", "file", "link"),
        "link": ("none", "file", "link"),
        "absent": ("none", "file", "link"),
        "directory": ("none", "folder"),
        "attributes": ("none", "file", "folder"),
    }[wish.state]
    if seen.kind not in allowed:
        wanted = {"file": "a file", "link": "a link", "absent": "nothing", "directory": "a folder"}.get(
            wish.state, "a file or folder"
        )
        return f"is {spoken}, and {wanted} is wanted there; look at it and remove it by hand"
    needs_folder = wish.state in ("file", "link", "directory") and seen.kind == "none"
    if needs_folder and not check_mode and wish.path.parent not in made and not wish.path.parent.is_dir():
        return f"has no folder to be in; let {wish.path.parent} with state directory stand before it"
    return ""


def _step(wish: Wish, seen: Seen, check_mode: bool) -> Step | None:
    if wish.state == "absent":
        return Step(wish, seen, None, True) if seen.kind != "none" else None
    if wish.state == "link":
        return Step(wish, seen, None, True) if (seen.kind, seen.target) != ("link", wish.src) else None
    if wish.state == "attributes" and seen.kind == "none":
        return None
    attributes = _wanted_attributes(wish, seen, check_mode)
    rewrite = (
        seen.kind != "file" or seen.content != (wish.content or "").encode()
        if wish.state == "file"
        else seen.kind == "none"
    )
    return Step(wish, seen, attributes, rewrite) if rewrite or attributes != seen.attributes else None


def _wanted_attributes(wish: Wish, seen: Seen, check_mode: bool) -> Attributes:
    """What was not named: a file belongs to who writes it, a folder that is there keeps what it has."""
    keeps = seen.attributes if wish.state != "file" else None
    default = keeps or Attributes(0o755 if wish.state == "directory" else 0o644, os.geteuid(), os.getegid())
    return Attributes(
        default.mode if wish.mode is None else wish.mode,
        default.uid if wish.owner is None else _number(wish, "user", wish.owner, check_mode),
        default.gid if wish.group is None else _number(wish, "group", wish.group, check_mode),
    )


def _number(wish: Wish, kind: str, name: str, check_mode: bool) -> int:
    try:
        return pwd.getpwnam(name).pw_uid if kind == "user" else grp.getgrnam(name).gr_gid
    except KeyError:
        if name.isdigit():
            return int(name)
        if check_mode:
            # An earlier task would have made it.
            return -1
        raise FilesError(
            f"{wish.path} shall belong to the {kind} {name}, who is not there; make the {kind} first"
        ) from None


def differences(found: Sequence[Step]) -> Iterator[dict[str, str]]:
    """The difference of each step as Ansible shows it, never a secret."""
    for step in found:
        path = str(step.path)
        if step.rewrite:
            yield {"before_header": path, "after_header": path, "before": _before(step), "after": _after(step)}
        if step.attributes and step.attributes != step.seen.attributes:
            before = str(step.seen.attributes) if step.seen.attributes and step.seen.kind != "link" else ""
            header = f"{path} (attributes)"
            yield {"before_header": header, "after_header": header, "before": before, "after": str(step.attributes)}


def _before(step: Step) -> str:
    if step.seen.kind == "none":
        return ""
    if step.seen.kind == "link":
        return f"(link to {step.seen.target})\n"
    if step.wish.secret:
        return "(secret)\n"
    if step.wish.state != "file":
        return f"({step.seen.kind})\n"
    return _text(step.seen.content or b"")


def _after(step: Step) -> str:
    if step.wish.state == "absent":
        return ""
    if step.wish.state == "link":
        return f"(link to {step.wish.src})\n"
    if step.wish.state == "directory":
        return "(folder)\n"
    if step.wish.secret:
        return "(secret differs)\n" if step.seen.kind == "file" else "(secret)\n"
    return _text((step.wish.content or "").encode())


def _text(content: bytes) -> str:
    if len(content) > LARGEST_SHOWN or b"\0" in content:
        return f"({len(content)} bytes)\n"
    return content.decode(errors="replace")


def _name_of_user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except (KeyError, OverflowError):
        return str(uid)


def _name_of_group(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except (KeyError, OverflowError):
        return str(gid)
