# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets of a site that the controller keeps: one file each, made once, sealed where a run can seal."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import os
import re
import secrets
import stat
import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ._disk import sync_folder, temporary_for

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
KINDS = ("token", "password", "bytes")
SHORTEST = 16
PLACEHOLDER = "not-made-yet"
Seal = Callable[[bytes], bytes]


class SecretError(Exception):
    """Something is wrong that a person must put right; the text says what, where and how, never the secret."""


@dataclass(frozen=True)
class Wish:
    """Which secret, and how it is made where it is not there. A value that is given replaces what is there."""

    folder: Path
    name: str
    kind: str = "token"
    length: int = 32
    value: str = ""


@dataclass(frozen=True)
class Secret:
    """What came of it; `exists` is whether it lies on the disk afterwards."""

    value: str
    path: Path
    exists: bool
    changed: bool


def made(kind: str, length: int) -> str:
    """A new secret: hexadecimal digits, letters and digits, or that many bytes as base64."""
    if kind == "bytes":
        return base64.b64encode(secrets.token_bytes(length)).decode()
    letters = "0123456789abcdef" if kind == "token" else string.ascii_letters + string.digits
    return "".join(map(secrets.choice, [letters] * length))


def obtain(wish: Wish, seal: Seal | None, unseal: Seal, check_mode: bool = False) -> Secret:
    """Read the secret or make it. Hosts that ask at once wait for each other and get the same one."""
    _judge(wish)
    path = wish.folder / wish.name
    if check_mode:
        return _decide(wish, path, seal, unseal, write=False)
    _make_folder(wish.folder)
    with _only_one(wish.folder):
        return _decide(wish, path, seal, unseal, write=True)


def _judge(wish: Wish) -> None:
    if not wish.folder.is_absolute() or ".." in wish.folder.parts:
        raise SecretError(f"The folder of secrets {str(wish.folder)!r} must be an absolute path without '..'.")
    if not NAME.fullmatch(wish.name):
        raise SecretError(f"{wish.name!r} is no name for a secret: letters, digits, '.', '_' and '-' only.")
    if wish.kind not in KINDS:
        raise SecretError(f"{wish.name}: kind {wish.kind!r} is not one of {', '.join(KINDS)}.")
    if wish.length < SHORTEST:
        raise SecretError(f"{wish.name}: a secret of {wish.length} can be guessed; ask for {SHORTEST} or more.")
    if wish.folder.is_dir() and stat.S_IMODE(wish.folder.stat().st_mode) & 0o022:
        raise SecretError(
            f"{wish.folder} can be written by others, so secrets in it could be exchanged. Nothing was changed. "
            f"Run: chmod 700 {wish.folder}"
        )


def _decide(wish: Wish, path: Path, seal: Seal | None, unseal: Seal, write: bool) -> Secret:
    there = _read(path)
    if there is None:
        value = wish.value or (made(wish.kind, wish.length) if write else PLACEHOLDER)
        if write:
            _write(path, value, seal)
        return Secret(value, path, exists=write, changed=True)
    sealed = there.startswith(b"$ANSIBLE_VAULT;")
    value = _trimmed((unseal(there) if sealed else there).decode())
    if not value:
        raise SecretError(
            f"{path} is empty. Bring it back from a backup; remove it only if the site does not exist yet."
        )
    wanted = wish.value or value
    renew = _trimmed(wanted) != value
    reseal = seal is not None and not sealed
    open_to_others = bool(stat.S_IMODE(path.stat().st_mode) & 0o177)
    if write and (renew or reseal):
        _write(path, wanted, seal)
    elif write and open_to_others:
        path.chmod(0o600)
    return Secret(_trimmed(wanted), path, exists=True, changed=renew or reseal or open_to_others)


def _trimmed(text: str) -> str:
    """An editor's newline behind a single line is no part of it; a text of several lines is left alone."""
    return text.rstrip("\n") if "\n" not in text.rstrip("\n") else text


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None


def _write(path: Path, value: str, seal: Seal | None) -> None:
    content = _trimmed(value).encode()
    temporary = temporary_for(path)
    with contextlib.suppress(FileNotFoundError):
        temporary.unlink()
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "wb") as stream:
        stream.write(seal(content) if seal else content)
        stream.flush()
        os.fsync(handle)
    temporary.replace(path)
    sync_folder(path.parent)


def _make_folder(folder: Path) -> None:
    """The folder and what is missing above it, all for this user only."""
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    for place in reversed(missing):
        with contextlib.suppress(FileExistsError):
            place.mkdir(mode=0o700)
            sync_folder(place.parent)


@contextlib.contextmanager
def _only_one(folder: Path) -> Iterator[None]:
    """The kernel drops the lock when a run dies; what is done under it takes milliseconds."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
