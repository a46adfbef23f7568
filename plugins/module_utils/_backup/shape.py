# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file that a backup is: a tar of sealed parts. What is not sealed in it tells names and versions, no secret.

    backup.json        what this is: site, node, time, versions
    node.tar.age       sealed for the recipients: manifest.json, the snapshot of etcd, token, CAs, configuration
    controller.tar.age sealed likewise, where a controller took part: its secrets of the site
    identity.vault     the identity that opens both, sealed with Ansible Vault, where no recipient was named
    SHA256SUMS         of all above, so that anyone can see that the file is whole

By hand: tar xOf FILE node.tar.age | age --decrypt --identity KEY | tar x
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Any

from .errors import BackupError

HEADER, NODE_PART, CONTROLLER_PART, IDENTITY, SUMS = (
    "backup.json",
    "node.tar.age",
    "controller.tar.age",
    "identity.vault",
    "SHA256SUMS",
)
PARTS = (HEADER, NODE_PART, CONTROLLER_PART, IDENTITY, SUMS)
MANIFEST = "manifest.json"
SNAPSHOT = "etcd/snapshot.db"
SUFFIX = ".backup.tar"
FORMAT = 1
BLOCK = 1 << 20
# Far above what any of the small members can be, far below what would fill a memory.
LARGEST_SMALL = 16 << 20
_SHA256 = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Header:
    """What anyone may read of a backup."""

    site: str
    node: str
    created: str
    etcd_version: str = ""
    k3s_version: str = ""
    format: int = FORMAT

    @property
    def name(self) -> str:
        stamp = self.created.replace("-", "").replace(":", "")
        return f"{self.site}-{stamp}-{self.node}{SUFFIX}"

    def render(self) -> bytes:
        return (json.dumps(asdict(self), indent=1, sort_keys=True) + "\n").encode()

    @classmethod
    def parse(cls, text: bytes, where: object) -> Header:
        data = parse_json(text, where, HEADER)
        known = {key: data[key] for key in cls.__dataclass_fields__ if key in data}
        if known.get("format") != FORMAT:
            raise BackupError(
                f"{where} has format {known.get('format')}, and this version of Holdfast reads {FORMAT}. Nothing was "
                "changed. Use the version that made it, or a later one."
            )
        names = [known.get(key) for key in ("site", "node")]
        if not all(isinstance(name, str) and _NAME.fullmatch(name) for name in names):
            raise BackupError(f"{where}: its {HEADER} names no site or node, so it is none of ours.")
        told = {key: str(known.get(key, "")) for key in ("created", "etcd_version", "k3s_version")}
        return cls(str(names[0]), str(names[1]), told["created"], told["etcd_version"], told["k3s_version"])


@dataclass(frozen=True)
class File:
    """One file in the sealed part."""

    path: str
    size: int
    sha256: str
    mode: int = 0o600
    mtime: float = 0.0
    # Where it lay on the node; empty where it is made for the backup.
    source: str = ""


@dataclass(frozen=True)
class Manifest:
    """What the sealed part of a node holds."""

    header: Header
    nodes: Mapping[str, str]
    etcd: Mapping[str, Any]
    k3s: Mapping[str, Any]
    files: tuple[File, ...] = field(default=())

    def render(self) -> bytes:
        return (json.dumps(asdict(self), indent=1, sort_keys=True) + "\n").encode()

    @classmethod
    def parse(cls, text: bytes, where: object) -> Manifest:
        data = parse_json(text, where, MANIFEST)
        try:
            header = Header.parse(json.dumps(data["header"]).encode(), where)
            files = tuple(_file(entry, where) for entry in data["files"])
            return cls(header, dict(data["nodes"]), dict(data["etcd"]), dict(data["k3s"]), files)
        except (KeyError, TypeError, ValueError) as error:
            raise BackupError(
                f"{where}: its {MANIFEST} cannot be understood ({error!r}). Nothing was changed."
            ) from error

    def of(self, prefix: str) -> tuple[File, ...]:
        """The files below a folder of the archive."""
        return tuple(file for file in self.files if file.path.startswith(prefix))


def parse_json(text: bytes, where: object, member: str) -> dict[str, Any]:
    try:
        data = json.loads(text)
    except ValueError as error:
        raise BackupError(f"{where}: its {member} cannot be read ({error}). Nothing was changed.") from error
    if not isinstance(data, dict):
        raise BackupError(f"{where}: its {member} is not what it should be. Nothing was changed.")
    return data


def _file(entry: Mapping[str, Any], where: object) -> File:
    file = File(**entry)
    path = PurePosixPath(file.path)
    if path.is_absolute() or ".." in path.parts or str(path) != file.path or not _SHA256.fullmatch(file.sha256):
        raise BackupError(f"{where} was refused: its {MANIFEST} names {file.path!r}. Nothing was changed.")
    return file


def digest_of(stream: IO[bytes], length: int = -1) -> str:
    """The sha256 of a stream, or of its next `length` bytes."""
    digest = hashlib.sha256()
    left = length
    while left != 0:
        block = stream.read(BLOCK if left < 0 else min(BLOCK, left))
        if not block:
            break
        digest.update(block)
        left -= len(block) if left > 0 else 0
    return digest.hexdigest()


def sha256_of(path: Path) -> str:
    with path.open("rb") as stream:
        return digest_of(stream)


# ---- writing ------------------------------------------------------------------------------------------------------


class Writer:
    """Writes a backup from front to back. One member may be of a size that is known only at its end."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._sums: list[str] = []

    def add(self, name: str, content: bytes) -> None:
        self._stream.write(_tar_header(name, len(content)))
        self._stream.write(content)
        self._pad(len(content))
        self._sums.append(f"{hashlib.sha256(content).hexdigest()}  {name}\n")

    def begin(self, name: str) -> int:
        """Leave room for a header; what follows is written to the stream's own handle until `end`."""
        at = self._stream.tell()
        self._stream.write(_tar_header(name, 0))
        self._stream.flush()
        return at

    def end(self, name: str, at: int) -> None:
        size = self._stream.seek(0, io.SEEK_END) - at - tarfile.BLOCKSIZE
        self._stream.seek(at)
        self._stream.write(_tar_header(name, size))
        self._sums.append(f"{digest_of(self._stream, size)}  {name}\n")
        self._stream.seek(0, io.SEEK_END)
        self._pad(size)

    def finish(self) -> None:
        self.add(SUMS, "".join(self._sums).encode())
        self._stream.write(bytes(2 * tarfile.BLOCKSIZE))
        self._stream.flush()

    def _pad(self, size: int) -> None:
        self._stream.write(bytes(-size % tarfile.BLOCKSIZE))


def _tar_header(name: str, size: int) -> bytes:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o600
    return member.tobuf(tarfile.GNU_FORMAT)


# ---- reading ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Sealed:
    """A backup that was looked at: its header, and where its parts lie in the file."""

    path: Path
    header: Header
    parts: Mapping[str, tuple[int, int]]

    def small(self, name: str) -> bytes:
        """The content of one of the small parts; empty where it is not there."""
        offset, size = self.parts.get(name, (0, 0))
        with self.path.open("rb") as stream:
            stream.seek(offset)
            return stream.read(min(size, LARGEST_SMALL))

    def blocks(self, name: str) -> Iterator[bytes]:
        offset, left = self.parts[name]
        with self.path.open("rb") as stream:
            stream.seek(offset)
            while left > 0 and (block := stream.read(min(BLOCK, left))):
                left -= len(block)
                yield block


def read_header(path: Path) -> Header:
    """Only what the file says of itself; quick, and true only if the file is whole."""
    try:
        with tarfile.open(path, "r:") as tar:
            member = tar.next()
            stream = tar.extractfile(member) if member and member.name == HEADER and member.isreg() else None
            if stream is None:
                raise BackupError(f"{path} is not a backup of Holdfast: it does not begin with {HEADER}.")
            return Header.parse(stream.read(LARGEST_SMALL), path)
    except (tarfile.TarError, OSError, EOFError) as error:
        raise BackupError(f"{path} cannot be read as a backup ({error}). Nothing was changed.") from error


def inspect(path: Path) -> Sealed:
    """Look at a backup and compare every part with SHA256SUMS; needs no key."""
    header = read_header(path)
    parts: dict[str, tuple[int, int]] = {}
    try:
        with tarfile.open(path, "r:") as tar:
            while (member := tar.next()) is not None:
                if member.name not in PARTS or not member.isreg() or member.name in parts:
                    raise BackupError(
                        f"{path} was refused: {member.name!r} does not belong in a backup. Nothing was changed."
                    )
                parts[member.name] = (member.offset_data, member.size)
    except (tarfile.TarError, OSError, EOFError) as error:
        raise BackupError(f"{path} is damaged ({error}). {_AGAIN}") from error
    if SUMS not in parts or NODE_PART not in parts:
        raise BackupError(f"{path} is cut short: it has no {SUMS if NODE_PART in parts else NODE_PART}. {_AGAIN}")
    sealed = Sealed(path, header, parts)
    told = dict(
        line.split("  ", 1)[::-1] for line in sealed.small(SUMS).decode(errors="replace").splitlines() if "  " in line
    )
    with path.open("rb") as stream:
        for name, (offset, size) in parts.items():
            stream.seek(offset)
            if name != SUMS and digest_of(stream, size) != told.get(name):
                raise BackupError(f"{path} was changed or is damaged: {name} is not the one in {SUMS}. {_AGAIN}")
    return sealed


_AGAIN = "Nothing was changed. Copy the file again, or take another backup."


def reading(tar: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    """The content of one file in a tar."""
    stream = tar.extractfile(member)
    if stream is None:
        raise BackupError(f"{member.name!r} is no file, and a backup holds files only.")
    return stream
