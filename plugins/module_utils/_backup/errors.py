# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can go wrong, always as the sentence that an operator reads."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator


class BackupError(Exception):
    """Something is wrong that a person must put right; the text says what, where and how, and never a secret."""


@contextlib.contextmanager
def disk_sentences(where: object, doing: str) -> Iterator[None]:
    """What the file system refuses, as one sentence about what was being done."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise BackupError(
                f"{doing}: no space is left on the disk that holds {where}. Earlier backups are untouched. Free some "
                "space, or let backup_keep be smaller, then run it again."
            ) from error
        raise BackupError(f"{doing}: the system refused ({error}). Put that right, then run it again.") from error
