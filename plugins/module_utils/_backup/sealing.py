# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sealing and opening with age. What is sealed goes through pipes, so neither side of it needs a plain file."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import IO, cast

from .errors import BackupError

SECONDS = 1800
# Fits into a pipe that nobody reads yet.
LARGEST_IDENTITY = 32 << 10


def _start(command: Sequence[str], **how: object) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(command, **how)  # type: ignore[call-overload,no-any-return]
    except OSError as error:
        raise BackupError(
            f"age cannot be started ({command[0]}: {error.strerror or error}). It comes with the bundle: run "
            "bundle.yml, then site.yml or this again."
        ) from error


def seal_tar(age: str, recipients: Sequence[str], to: IO[bytes], fill: Callable[[tarfile.TarFile], None]) -> None:
    """Write a tar that `fill` makes, sealed for the recipients, to a file from where it stands on."""
    arguments = [argument for recipient in recipients for argument in ("--recipient", recipient)]
    with tempfile.TemporaryFile() as said:
        process = _start([age, "--encrypt", *arguments], stdin=subprocess.PIPE, stdout=to, stderr=said)
        pipe = cast("IO[bytes]", process.stdin)
        broken: BaseException | None = None
        try:
            with tarfile.open(fileobj=pipe, mode="w|", format=tarfile.PAX_FORMAT) as tar:
                fill(tar)
        except BrokenPipeError as error:
            # What age says about it is the reason.
            broken = error
        except BaseException:
            process.kill()
            process.wait()
            raise
        finally:
            with contextlib.suppress(BrokenPipeError):
                pipe.close()
        code = process.wait(SECONDS)
        if code != 0 or broken:
            raise _sealing_failed(_words(said))


def _sealing_failed(said: str) -> Exception:
    if "no space left" in said:
        return OSError(28, os.strerror(28))
    if "recipient" in said:
        return BackupError(
            f"age refused a recipient of backup_age_recipients: {said}. Nothing was written. Give public keys as "
            "age-keygen prints them (age1…), never the identity (AGE-SECRET-KEY-…)."
        )
    return BackupError(f"The backup could not be sealed, age said: {said or 'nothing'}. Nothing was written.")


@contextlib.contextmanager
def opened_tar(age: str, identity: bytes, sealed: Iterable[bytes], what: str) -> Iterator[tarfile.TarFile]:
    """The tar in a sealed part, as a stream. The identity goes through a pipe: neither argv nor a disk sees it."""
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as feed:
        for block in sealed:
            feed.write(block)
        feed.seek(0)
        process = _decrypt(age, identity, feed, said)
        pipe = cast("IO[bytes]", process.stdout)
        broken: Exception | None = None
        try:
            with tarfile.open(fileobj=pipe, mode="r|") as tar:
                yield tar
            # age tells of a changed end only when all was read.
            while pipe.read(1 << 20):
                pass
        except (tarfile.TarError, EOFError) as error:
            broken = error
        except BaseException:
            process.kill()
            process.wait()
            raise
        finally:
            pipe.close()
        code = process.wait(SECONDS)
        if code != 0 or broken:
            raise _opening_failed(what, _words(said), broken)


def _decrypt(age: str, identity: bytes, feed: IO[bytes], said: IO[bytes]) -> subprocess.Popen[bytes]:
    if len(identity) > LARGEST_IDENTITY:
        raise BackupError("The identity that was given is too long to be one of age's. Nothing was changed.")
    key_out, key_in = os.pipe()
    try:
        os.write(key_in, identity)
        command = [age, "--decrypt", "--identity", f"/dev/fd/{key_out}"]
        return _start(command, stdin=feed, stdout=subprocess.PIPE, stderr=said, pass_fds=[key_out])
    finally:
        os.close(key_in)
        os.close(key_out)


def _opening_failed(what: str, said: str, early: Exception | None) -> BackupError:
    if "no identity matched" in said:
        return BackupError(
            f"{what} is not sealed for the identity that was given. Nothing was changed. Give the identity of one of "
            "the recipients that it was made for, with backup_identity_file."
        )
    if "header" not in said and ("identity" in said or "identities" in said):
        return BackupError(f"The identity that was given is none that age can read ({said}). Nothing was changed.")
    return BackupError(
        f"{what} was changed or cut short after it was sealed ({said or early or 'age gave no reason'}). Nothing was "
        "changed. Copy the file again, or take another backup."
    )


def _words(said: IO[bytes]) -> str:
    said.seek(0)
    lines = [line.strip() for line in said.read(4096).decode(errors="replace").splitlines() if line.strip()]
    # After its error age asks for a report on its web page. An identity that was given by mistake is not to be shown.
    told = " ".join(line for line in lines if "report unexpected" not in line).replace("age: error: ", "")
    return re.sub(r"AGE-SECRET-KEY-\S*", "AGE-SECRET-KEY-…", told.replace("age: ", ""))


def public_keys(age_keygen: str, identity: bytes) -> list[str]:
    """The recipients of an identity."""
    process = _start([age_keygen, "-y"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    printed, said = process.communicate(identity, 30)
    if process.returncode != 0:
        raise BackupError(f"The identity cannot be read by age-keygen ({said.decode(errors='replace').strip()}).")
    return printed.decode().split()


def new_identity(age_keygen: str) -> bytes:
    process = _start([age_keygen], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    printed, said = process.communicate(None, 30)
    if process.returncode != 0:
        raise BackupError(f"age-keygen made no identity ({said.decode(errors='replace').strip()}).")
    return printed
