# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carries a bundle as one tar, and lets nothing out of a tar that its manifest does not name."""

from __future__ import annotations

import hashlib
import os
import tarfile
import tempfile
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .errors import BundleError
from .files import BLOCK, disk_sentences, put_in_place, sync_file
from .inspection import OK, inspect
from .locks import only_one_bundle
from .manifest import LARGEST, MANIFEST_NAME, Entry, listing, parse, read_manifest, render, total_size
from .progress import Progress, spoken_size
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


def verify_bundle(bundle: Path) -> tuple[tuple[Entry, ...], list[str]]:
    """The entries of a bundle, and one sentence for each file that is not what they say."""
    entries = read_manifest(bundle)
    if entries is None:
        return (), [f"{bundle} holds no {MANIFEST_NAME}, so it is not a bundle"]
    return entries, [finding.sentence for finding in inspect(bundle, entries) if finding.state != OK]


def manifest_digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


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
    text = render(entries)
    digest = manifest_digest(text)
    if archive.is_file() and _same(archive, entries, text):
        return Carried(False, entries, digest, before=listing(entries))
    carried = Carried(True, entries, digest, before=_held(archive))
    if not dry:
        with disk_sentences(archive.parent, f"packing {bundle}"):
            _write(bundle, archive, entries, text, progress)
    return carried


def _write(bundle: Path, archive: Path, entries: Sequence[Entry], text: str, progress: Progress) -> None:
    archive.parent.mkdir(parents=True, exist_ok=True)
    for left in archive.parent.glob(f".{archive.name}.*.part"):
        # Of a run that was killed.
        left.unlink()
    handle, name = tempfile.mkstemp(dir=archive.parent, prefix=f".{archive.name}.", suffix=".part")
    os.close(handle)
    temporary = Path(name)
    packing = f"packing {len(entries)} files, {spoken_size(total_size(entries))}"
    try:
        with progress.step(packing), tarfile.open(temporary, "w", format=tarfile.PAX_FORMAT) as tar:
            # First, so that the reader knows what to expect of all that follows.
            add_bytes(tar, MANIFEST_NAME, text.encode())
            for entry in sorted(entries, key=lambda entry: entry.path):
                add_file(tar, entry.path, bundle / entry.path, entry.mode)
        put_in_place(temporary, archive)
    finally:
        temporary.unlink(missing_ok=True)


def unpack(
    archive: Path, bundle: Path, expected: str, progress: Progress, dry: bool, cancel: threading.Event
) -> Carried:
    """Bring the tar's bundle to a folder, all of it or nothing: every member is checked before any takes its place."""
    refuse_foreign(bundle)
    if not archive.is_file():
        raise BundleError(
            f"The archive {archive} does not exist, so nothing was unpacked. Check the path or the stick."
        )
    with _reading(archive) as tar:
        text = _manifest_text(tar, archive)
    entries = parse(text, f"{archive}, {MANIFEST_NAME}")
    digest = manifest_digest(text)
    if expected and digest != expected.lower():
        raise BundleError(
            f"{archive} was refused: its {MANIFEST_NAME} has sha256 {digest}, but {expected} was promised. "
            "Nothing was unpacked. Compare with the figure that was shown when it was packed."
        )
    before = ""
    if bundle.is_dir():
        present, problems = verify_bundle(bundle)
        before = listing(present)
        if not problems and render(present) == render(entries):
            return Carried(False, entries, digest, before)
    if dry:
        with progress.step(f"verifying {archive}"):
            _walk(archive, entries, None)
        return Carried(True, entries, digest, before)
    unpacking = f"unpacking {len(entries)} files, {spoken_size(total_size(entries))}"
    with only_one_bundle(bundle, LOCK_WAIT, progress, cancel), staged(bundle) as fresh, progress.step(unpacking):
        _walk(archive, entries, fresh)
        manifest = fresh / MANIFEST_NAME
        manifest.write_text(render(entries), encoding="utf-8")
        sync_file(manifest)
    return Carried(True, entries, digest, before)


def _held(archive: Path) -> str:
    """What an archive says that it holds; nothing where there is none, or none that can be read."""
    try:
        with _reading(archive) as tar:
            return listing(parse(_manifest_text(tar, archive), str(archive)))
    except BundleError:
        return ""


def _reading(archive: Path) -> tarfile.TarFile:
    try:
        return tarfile.open(archive, "r:")
    except (tarfile.TarError, OSError) as error:
        raise BundleError(f"{archive} cannot be read as a bundle's tar ({error}); nothing was unpacked.") from error


def _manifest_text(tar: tarfile.TarFile, archive: Path) -> str:
    try:
        first = tar.next()
        stream = tar.extractfile(first) if first and first.isreg() and first.size <= LARGEST else None
        if first is None or first.name != MANIFEST_NAME or stream is None:
            raise BundleError(
                f"{archive} does not begin with {MANIFEST_NAME}, so it is not a bundle; nothing was unpacked."
            )
        return stream.read().decode("utf-8", errors="replace")
    except (tarfile.TarError, OSError) as error:
        raise BundleError(f"{archive} is damaged ({error}); nothing was unpacked.") from error


def _walk(archive: Path, entries: Iterable[Entry], to: Path | None) -> None:
    """Check every member against the manifest, and write it where `to` is given."""
    left = {entry.path: entry for entry in entries}
    try:
        with _reading(archive) as tar:
            tar.next()
            while (member := tar.next()) is not None:
                _member(archive, tar, member, left.pop(member.name, None), to)
    except (tarfile.TarError, EOFError) as error:
        raise BundleError(f"{archive} is damaged ({error}); nothing was unpacked. Copy it again.") from error
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


def _same(archive: Path, entries: Iterable[Entry], text: str) -> bool:
    """Whether the archive is already what packing would give."""
    try:
        with _reading(archive) as tar:
            if _manifest_text(tar, archive) != text:
                return False
        _walk(archive, entries, None)
    except BundleError:
        return False
    return True
