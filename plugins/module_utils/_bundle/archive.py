# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carries a bundle as one tar, and lets nothing out of a tar that its manifest does not name."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tarfile
import tempfile
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from .errors import BundleError
from .files import BLOCK, disk_sentences, put_in_place, sync_file
from .inspection import OK, inspect
from .locks import only_one_bundle
from .manifest import LARGEST, MANIFEST_NAME, Entry, listing, manifest_bytes, parse, read_manifest, total_size
from .progress import Progress, spoken_size
from .signatures import LARGEST as LARGEST_SIGNATURE
from .signatures import signature_paths, signatures_in
from .swap import refuse_foreign, staged
from .tarballs import add_bytes, add_file

LOCK_WAIT = 60.0


@dataclass(frozen=True)
class Carried:
    """What was packed or unpacked."""

    changed: bool
    entries: tuple[Entry, ...]
    manifest_sha256: str
    # For the difference: what the place held, and what it holds now.
    before: str = ""

    @property
    def after(self) -> str:
        return listing(self.entries)

    @property
    def size(self) -> int:
        return total_size(self.entries)


@dataclass(frozen=True)
class Head:
    """What a tar begins with: its manifest, and the signatures that were carried along."""

    manifest: bytes
    entries: tuple[Entry, ...]
    signatures: Mapping[str, bytes]

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.manifest).hexdigest()


def verify_bundle(bundle: Path) -> tuple[tuple[Entry, ...], list[str]]:
    """The entries of a bundle, and one sentence for each file that is not what they say."""
    entries = read_manifest(bundle)
    if entries is None:
        return (), [f"{bundle} holds no {MANIFEST_NAME}, so it is not a bundle"]
    return entries, [finding.sentence for finding in inspect(bundle, entries) if finding.state != OK]


def pack(bundle: Path, archive: Path, progress: Progress, dry: bool, cancel: threading.Event) -> Carried:
    """Write the verified bundle into one tar; equal bundles give equal bytes."""
    if archive.is_dir():
        raise BundleError(f"{archive} is a folder; give bundle_archive_path the name of a file.")
    if dry or not bundle.is_dir():
        return _pack(bundle, archive, progress, dry)
    # Nobody may replace the bundle while it is read.
    with only_one_bundle(bundle, LOCK_WAIT, progress, cancel):
        return _pack(bundle, archive, progress, dry)


def _pack(bundle: Path, archive: Path, progress: Progress, dry: bool) -> Carried:
    with progress.step(f"verifying {bundle}"):
        entries, problems = verify_bundle(bundle)
    if problems:
        raise BundleError(
            f"The bundle {bundle} was not packed: {'; '.join(problems)}. Run bundle.yml to mend it, then pack it again."
        )
    head = Head(manifest_bytes(bundle) or b"", entries, signatures_in(bundle, entries))
    if archive.is_file() and _same(archive, head):
        return Carried(False, entries, head.sha256, before=listing(entries))
    carried = Carried(True, entries, head.sha256, before=_held(archive))
    if not dry:
        with disk_sentences(archive.parent, f"packing {bundle}"):
            _write(bundle, archive, head, progress)
    return carried


def _write(bundle: Path, archive: Path, head: Head, progress: Progress) -> None:
    archive.parent.mkdir(parents=True, exist_ok=True)
    for left in archive.parent.glob(f".{archive.name}.*.part"):
        # Of a run that was killed.
        left.unlink()
    handle, name = tempfile.mkstemp(dir=archive.parent, prefix=f".{archive.name}.", suffix=".part")
    os.close(handle)
    temporary = Path(name)
    packing = f"packing {len(head.entries)} files, {spoken_size(total_size(head.entries))}"
    try:
        with progress.step(packing), tarfile.open(temporary, "w", format=tarfile.PAX_FORMAT) as tar:
            # First, so that the reader knows what to expect of all that follows, and from whom it comes.
            add_bytes(tar, MANIFEST_NAME, head.manifest)
            for path, content in head.signatures.items():
                add_bytes(tar, path, content)
            for entry in sorted(head.entries, key=lambda entry: entry.path):
                add_file(tar, entry.path, bundle / entry.path, entry.mode)
        put_in_place(temporary, archive)
    finally:
        temporary.unlink(missing_ok=True)


def unpack(
    archive: Path, bundle: Path, expected: str, progress: Progress, dry: bool, cancel: threading.Event
) -> Carried:
    """Bring the tar's bundle to a folder, all of it or nothing: every member is checked before any takes its place."""
    refuse_foreign(bundle)
    head = read_head(archive)
    entries, digest = head.entries, head.sha256
    if expected and digest != expected.lower():
        raise BundleError(
            f"{archive} was refused: its {MANIFEST_NAME} has sha256 {digest}, but {expected} was promised. "
            "Nothing was unpacked. Compare with the figure that was shown when it was packed."
        )
    before = ""
    if bundle.is_dir():
        present, problems = verify_bundle(bundle)
        before = listing(present)
        same = manifest_bytes(bundle) == head.manifest and signatures_in(bundle, present) == head.signatures
        if not problems and same:
            return Carried(False, entries, digest, before)
    if dry:
        with progress.step(f"verifying {archive}"):
            _walk(archive, head, None)
        return Carried(True, entries, digest, before)
    unpacking = f"unpacking {len(entries)} files, {spoken_size(total_size(entries))}"
    with only_one_bundle(bundle, LOCK_WAIT, progress, cancel), staged(bundle) as fresh, progress.step(unpacking):
        _walk(archive, head, fresh)
        for path, content in {**head.signatures, MANIFEST_NAME: head.manifest}.items():
            target = fresh / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
            sync_file(target)
    return Carried(True, entries, digest, before)


def read_head(archive: Path) -> Head:
    """What a tar says that it holds, and the signatures that follow. Nothing of it is verified yet."""
    if not archive.is_file():
        raise BundleError(
            f"The archive {archive} does not exist, so nothing was unpacked. Check the path or the stick."
        )
    with _reading(archive) as tar, _damaged(archive):
        first = tar.next()
        stream = tar.extractfile(first) if first and first.isreg() and first.size <= LARGEST else None
        if first is None or first.name != MANIFEST_NAME or stream is None:
            raise BundleError(
                f"{archive} does not begin with {MANIFEST_NAME}, so it is not a bundle; nothing was unpacked."
            )
        manifest = stream.read()
        entries = parse(manifest, f"{archive}, {MANIFEST_NAME}")
        allowed, signatures = signature_paths(entries), {}
        while (member := tar.next()) is not None and member.name in allowed and member.name not in signatures:
            stream = tar.extractfile(member) if member.isreg() and member.size <= LARGEST_SIGNATURE else None
            if stream is None:
                raise _refused(archive, member.name, "is no signature: it is too large, or not a file")
            signatures[member.name] = stream.read()
    return Head(manifest, entries, signatures)


def _held(archive: Path) -> str:
    """What an archive says that it holds; nothing where there is none, or none that can be read."""
    try:
        return listing(read_head(archive).entries)
    except BundleError:
        return ""


def _reading(archive: Path) -> tarfile.TarFile:
    try:
        return tarfile.open(archive, "r:")
    except (tarfile.TarError, OSError) as error:
        raise BundleError(f"{archive} cannot be read as a bundle's tar ({error}); nothing was unpacked.") from error


@contextlib.contextmanager
def _damaged(archive: Path) -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, EOFError) as error:
        raise BundleError(f"{archive} is damaged ({error}); nothing was unpacked. Copy it again.") from error


def _walk(archive: Path, head: Head, to: Path | None) -> None:
    """Check every member against the manifest, and write it where `to` is given."""
    left = {entry.path: entry for entry in head.entries}
    with _reading(archive) as tar, _damaged(archive):
        for _member_of_head in range(1 + len(head.signatures)):
            tar.next()
        while (member := tar.next()) is not None:
            _member(archive, tar, member, left.pop(member.name, None), to)
    if left:
        raise _refused(archive, sorted(left)[0], "is missing from the archive, which may be cut short")


def _member(archive: Path, tar: tarfile.TarFile, member: tarfile.TarInfo, entry: Entry | None, to: Path | None) -> None:
    if entry is None:
        raise _refused(archive, member.name, f"is not in {MANIFEST_NAME}, or is there twice")
    if not member.isreg():
        raise _refused(archive, member.name, "is a link or a special file")
    if member.size != entry.size:
        raise _refused(archive, member.name, f"has {member.size} bytes where {entry.size} were expected")
    digest = hashlib.sha256()
    stream = tar.extractfile(member)
    target = to / entry.path if to else None
    if target:
        target.parent.mkdir(parents=True, exist_ok=True)
    out = target.open("wb") if target else None
    try:
        while stream and (block := stream.read(BLOCK)):
            digest.update(block)
            if out:
                out.write(block)
    finally:
        if out:
            out.close()
    if digest.hexdigest() != entry.sha256:
        raise _refused(archive, member.name, f"has sha256 {digest.hexdigest()} where {entry.sha256} was expected")
    if target:
        target.chmod(entry.mode)
        sync_file(target)


def _refused(archive: Path, name: str, why: str) -> BundleError:
    return BundleError(
        f"{archive} was refused: {name} {why}. Nothing was unpacked, and what was there before is untouched. "
        "Pack or copy it again."
    )


def _same(archive: Path, head: Head) -> bool:
    """Whether the archive is already what packing would give."""
    try:
        if read_head(archive) != head:
            return False
        _walk(archive, head, None)
    except BundleError:
        return False
    return True
