# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the controller keeps of a site: it goes into a backup sealed, and comes back only where it is missing."""

from __future__ import annotations

import contextlib
import io
import os
import platform
import shutil
import tarfile
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from .._bundle.inspection import checked_file
from .._bundle.manifest import Entry
from .errors import BackupError
from .sealing import seal_tar

# The identity that is made where no recipient was named. It opens backups, so it does not travel inside of one.
IDENTITY_NAME = "backup-identity"
LARGEST = 1 << 20
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def find_program(name: str, bundle: Path, entries: Iterable[Entry]) -> str:
    """age or age-keygen for this machine: of the bundle, as its entries say, else the system's."""
    architecture = ARCHITECTURES.get(platform.machine(), "")
    found = [
        entry
        for entry in entries
        if (entry.name, entry.arch, PurePosixPath(entry.path).name) == ("age", architecture, name)
    ]
    program = str(checked_file(bundle, max(found, key=_numbers))) if found else shutil.which(name)
    if not program:
        raise BackupError(
            f"{name} is neither in the bundle {bundle} nor among the programs of the controller. Run bundle.yml, or "
            "install age."
        )
    return program


def _numbers(entry: Entry) -> list[int]:
    return [int(part) for part in entry.version.split(".") if part.isdigit()]


def seal_secrets(age: str, recipients: Sequence[str], folder: Path) -> bytes:
    """Every file of the secrets folder as it lies there, so what Ansible Vault sealed stays sealed inside too."""
    found = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    taken = {
        str(path.relative_to(folder)): path
        for path in found
        if not path.name.startswith((IDENTITY_NAME, ".")) and path.stat().st_size <= LARGEST
    }

    def fill(tar: tarfile.TarFile) -> None:
        for name, path in taken.items():
            data = path.read_bytes()
            member = tarfile.TarInfo(name)
            member.size, member.mode, member.mtime = len(data), 0o600, path.stat().st_mtime
            tar.addfile(member, io.BytesIO(data))

    if not taken:
        return b""
    with tempfile.TemporaryFile() as stream:
        seal_tar(age, recipients, stream, fill)
        stream.seek(0)
        return stream.read()


def missing_secrets(folder: Path, secrets: Mapping[str, bytes]) -> list[str]:
    return [name for name in sorted(secrets) if not (folder / name).exists()]


def put_missing(folder: Path, secrets: Mapping[str, bytes]) -> list[str]:
    """Write the secrets that are not there; one that is there is never replaced."""
    names = missing_secrets(folder, secrets)
    for name in names:
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with contextlib.suppress(FileExistsError):
            handle = os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW, 0o600)
            with os.fdopen(handle, "wb") as stream:
                stream.write(secrets[name])
                stream.flush()
                os.fsync(handle)
    return names


def write_private(path: Path, content: bytes) -> None:
    """A new file of mode 0600 in a folder of mode 0700, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = path.with_name(f".{path.name}.part")
    temporary.unlink(missing_ok=True)
    handle = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(handle, "wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(handle)
    temporary.replace(path)
