# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts, gets and lists objects: path-style, in parts where a file is large, again where the network fails."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from xml.etree import ElementTree

from .errors import StoreError, StoreMissingError, StoreUnreachableError
from .transport import Answer, Transport

MIB = 1 << 20
# S3 wants parts of 5 MiB or more and at most 10,000 of them.
PART_BYTES = 16 * MIB
PARTS_MAX = 10_000
META_SHA256 = "x-amz-meta-sha256"


@dataclass(frozen=True)
class StoredObject:
    """One object of the bucket."""

    key: str
    size: int
    modified: str = ""
    sha256: str = ""


def parts_of(size: int, part_bytes: int = PART_BYTES) -> list[tuple[int, int]]:
    """Where each part starts and how long it is; larger parts where there would be too many."""
    while size > part_bytes * PARTS_MAX:
        part_bytes *= 2
    return [(start, min(part_bytes, size - start)) for start in range(0, size, part_bytes)]


class Bucket:
    """The objects below one prefix of one bucket."""

    def __init__(self, transport: Transport, prefix: str = "", part_bytes: int = PART_BYTES) -> None:
        self._transport = transport
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        self._part_bytes = part_bytes

    @property
    def where(self) -> str:
        """For messages: endpoint, bucket and prefix."""
        return f"{self._transport.where}/{self._transport.bucket}/{self._prefix}".rstrip("/")

    def head(self, name: str) -> StoredObject | None:
        """What is stored under the name; None where nothing is."""
        try:
            answer = self._transport.ask("HEAD", self._prefix + name)
        except StoreMissingError:
            # HEAD has no body that would tell a missing object from a missing bucket.
            self._transport.ask("GET", "", query=[("list-type", "2"), ("max-keys", "1"), ("prefix", self._prefix)])
            return None
        length = int(answer.headers.get("content-length", "0"))
        return StoredObject(name, length, answer.headers.get("last-modified", ""), answer.headers.get(META_SHA256, ""))

    def list(self) -> list[StoredObject]:
        """All objects below the prefix."""
        found: list[StoredObject] = []
        token = ""
        while True:
            query = [("list-type", "2"), ("prefix", self._prefix)]
            answer = self._transport.ask("GET", "", query=query + ([("continuation-token", token)] if token else []))
            root = _document(answer, self._transport.where)
            for entry in root.iter("Contents"):
                key = entry.findtext("Key") or ""
                found.append(
                    StoredObject(
                        key[len(self._prefix) :],
                        int(entry.findtext("Size") or 0),
                        entry.findtext("LastModified") or "",
                    )
                )
            token = root.findtext("NextContinuationToken") or ""
            if not token or root.findtext("IsTruncated") != "true":
                return found

    def put(self, name: str, path: Path, sha256: str) -> None:
        """Store a file, and see afterwards that the store has all of it."""
        size = path.stat().st_size
        with path.open("rb") as stream:
            if size <= self._part_bytes:
                body = stream.read()
                self._transport.ask("PUT", self._prefix + name, body=body, headers={META_SHA256: sha256})
            else:
                self._put_parts(name, stream, size, sha256)
        stored = self.head(name)
        if stored is None or stored.size != size or stored.sha256 not in ("", sha256):
            raise StoreError(
                f"{self.where} took {name} and now has {stored.size if stored else 0} of its {size} bytes, or another "
                "file by that name. It stays in the queue; look at the store."
            )

    def _put_parts(self, name: str, stream: IO[bytes], size: int, sha256: str) -> None:
        key = self._prefix + name
        begun = self._transport.ask("POST", key, query=[("uploads", "")], headers={META_SHA256: sha256})
        upload = _document(begun, self._transport.where).findtext("UploadId") or ""
        try:
            tags = list(self._parts(key, upload, stream, size))
            body = "".join(
                f"<Part><PartNumber>{number}</PartNumber><ETag>{tag}</ETag></Part>"
                for number, tag in enumerate(tags, start=1)
            )
            document = f"<CompleteMultipartUpload>{body}</CompleteMultipartUpload>".encode()
            done = self._transport.ask("POST", key, query=[("uploadId", upload)], body=document)
            # An error may come in the body of an answer that says 200.
            if b"<Error>" in done.body:
                raise StoreError(f"{self.where} did not put the parts of {name} together: {_text(done.body)}.")
        except BaseException:
            self._forget(key, upload)
            raise

    def _parts(self, key: str, upload: str, stream: IO[bytes], size: int) -> Iterator[str]:
        for number, (start, length) in enumerate(parts_of(size, self._part_bytes), start=1):
            stream.seek(start)
            query = [("partNumber", str(number)), ("uploadId", upload)]
            answer = self._transport.ask("PUT", key, query=query, body=stream.read(length))
            yield answer.headers.get("etag", "")

    def _forget(self, key: str, upload: str) -> None:
        """Parts of an upload that failed cost room in the store."""
        with contextlib.suppress(StoreError):
            self._transport.ask("DELETE", key, query=[("uploadId", upload)], tries=1)

    def get(self, name: str, path: Path) -> str:
        """Bring an object to a new file of mode 0600, going on where a connection broke; its sha256."""
        partial = path.with_name(f".{path.name}.part")
        handle = os.open(partial, os.O_CREAT | os.O_TRUNC | os.O_RDWR, 0o600)
        digest = hashlib.sha256()
        try:
            with os.fdopen(handle, "wb") as stream:
                for block in self._transport.read(self._prefix + name):
                    digest.update(block)
                    stream.write(block)
                stream.flush()
                os.fsync(stream.fileno())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
        return digest.hexdigest()

    def remove(self, names: Sequence[str]) -> None:
        for name in names:
            self._transport.ask("DELETE", self._prefix + name)


def bucket_of(settings: Mapping[str, str], part_bytes: int = PART_BYTES) -> Bucket:
    """The bucket that settings name: endpoint, bucket, prefix, region, access_key, secret_key, ca_file."""
    return Bucket(Transport.of(settings), settings.get("prefix", ""), part_bytes)


def _document(answer: Answer, where: str) -> ElementTree.Element:
    # Entities have no place in what a store says, and are how a parser is made to eat all memory.
    if b"<!" in answer.body:
        raise StoreError(f"{where} answered with a document that is not S3's. Is that the endpoint of a store?")
    try:
        root = ElementTree.fromstring(answer.body)
    except ElementTree.ParseError as error:
        raise StoreError(f"{where} answered with something that is not S3's ({error}). Is it a store?") from error
    for element in root.iter():
        element.tag = re.sub(r"^\{[^}]*\}", "", element.tag)
    return root


def _text(body: bytes) -> str:
    return body[:300].decode(errors="replace")


__all__ = ["Bucket", "StoreError", "StoreUnreachableError", "StoredObject", "bucket_of", "parts_of"]
