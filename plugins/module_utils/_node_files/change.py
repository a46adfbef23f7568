# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings a list of paths to what is wanted: prepare all, judge all, then put all in place.

Until the last file was prepared and judged, nothing that was there is touched, so a full disk or a fault in one file
leaves the node as it was. After that only renames are left. A power cut leaves each path old or new, never half of one.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from .._disk import put_link, sync_file, sync_folder, temporary_for
from .errors import FilesError
from .look import Attributes, Step
from .wishes import NOTHING

# Gives a new file the label of the path it will have (SELinux): temporary path, final path.
Label = Callable[[str, str], None]
# Runs a command: exit status, what it printed, what it complained.
Command = Callable[[list[str]], "tuple[int, str, str]"]


class Change:
    """The steps on their way to the disk."""

    def __init__(self, steps: Sequence[Step], command: Command, label: Label) -> None:
        self._steps = steps
        self._command = command
        self._label = label
        self._waiting: dict[Path, Path] = {}
        self._made: list[Path] = []
        self._touched: set[Path] = set()

    def run(self) -> None:
        """Everything or, as far as a disk allows that, nothing."""
        try:
            for step in self._steps:
                self._prepare(step)
            self._judge()
        except BaseException as error:
            self._undo()
            if isinstance(error, OSError):
                raise FilesError(
                    f"The system refused: {error}. {NOTHING} Put that right, then run this again."
                ) from error
            raise
        done: list[str] = []
        try:
            for step in self._steps:
                self._put_in_place(step)
                done.append(str(step.path))
        except OSError as error:
            self._forget_files()
            raise FilesError(
                f"The system refused: {error}. Already in place: {', '.join(done) or 'nothing'}; all else is as it "
                "was. Put that right, then run this again."
            ) from error
        finally:
            for folder in sorted(self._touched):
                with contextlib.suppress(FileNotFoundError):
                    sync_folder(folder)

    def _prepare(self, step: Step) -> None:
        if step.wish.state == "directory" and step.rewrite:
            _make_folder(step.path, step.attributes)
            self._made.append(step.path)
            self._label(str(step.path), str(step.path))
            self._touched.add(step.path.parent)
        elif step.wish.state == "file" and step.rewrite:
            temporary = temporary_for(step.path)
            self._waiting[step.path] = temporary
            _write(temporary, (step.wish.content or "").encode(), step.attributes)
            self._label(str(temporary), str(step.path))

    def _judge(self) -> None:
        for step in self._steps:
            temporary = self._waiting.get(step.path)
            if not temporary or not step.wish.validate:
                continue
            command = [part.replace("%s", str(temporary)) for part in step.wish.validate]
            status, printed, complained = self._command(command)
            if status == 0:
                continue
            words = "\n".join(text.strip() for text in (complained, printed) if text.strip())
            said = (
                "its words are withheld, since the file is secret"
                if step.wish.secret
                else words.replace(str(temporary), str(step.path)) or "it said nothing"
            )
            raise FilesError(
                f"The new {step.path} was refused by {' '.join(step.wish.validate)} (status {status}): {said}\n"
                f"{NOTHING} What was there before is in use. Correct the values that this file is made from, "
                "then run this again."
            )

    def _put_in_place(self, step: Step) -> None:
        path, parent = step.path, step.path.parent
        if path in self._waiting:
            self._waiting[path].replace(path)
            del self._waiting[path]
        elif step.wish.state == "absent":
            path.unlink()
        elif step.wish.state == "link":
            put_link(path, step.wish.src)
        elif step.attributes and not step.rewrite:
            _set_attributes(path, step.attributes)
            if not path.is_dir():
                sync_file(path)
        self._touched.add(parent)

    def _undo(self) -> None:
        self._forget_files()
        for folder in reversed(self._made):
            with contextlib.suppress(OSError):
                folder.rmdir()

    def _forget_files(self) -> None:
        for temporary in self._waiting.values():
            with contextlib.suppress(OSError):
                temporary.unlink()


def _make_folder(path: Path, attributes: Attributes | None) -> None:
    path.mkdir(mode=0o700)
    try:
        if attributes:
            _set_attributes(path, attributes)
    except OSError:
        path.rmdir()
        raise


def _write(temporary: Path, content: bytes, attributes: Attributes | None) -> None:
    """A new file that nobody else may read before it belongs to its owner and has its mode."""
    with contextlib.suppress(FileNotFoundError):
        temporary.unlink()
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as stream:
        if attributes:
            os.fchown(handle, attributes.uid, attributes.gid)
            os.fchmod(handle, attributes.mode)
        stream.write(content)
        stream.flush()
        os.fsync(handle)


def _set_attributes(path: Path, attributes: Attributes) -> None:
    """Take away before giving: who may no longer read it cannot, at no moment between."""
    stats = path.stat()
    path.chmod(stats.st_mode & attributes.mode & 0o7777)
    if (stats.st_uid, stats.st_gid) != (attributes.uid, attributes.gid):
        os.chown(path, attributes.uid, attributes.gid)
    path.chmod(attributes.mode)
