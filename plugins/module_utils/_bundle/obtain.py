# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gets what is missing: downloads side by side, builds one after the other beside them, all into the store."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from . import image
from .errors import BundleError, StoppedError
from .files import disk_sentences, key_of, remove_tree
from .manifest import Entry
from .plan import ANY, Target
from .recipes import Recipe
from .store import Content, Record
from .workshop import Workshop

DOWNLOADS_AT_ONCE = 4


@dataclass(frozen=True)
class Job:
    """A target with its recipe."""

    target: Target
    recipe: Recipe


def known_record(job: Job, workshop: Workshop) -> Record | None:
    """What this job gave before, as far as the cache remembers; nothing is read of the content itself."""
    parts = workshop.store.record(job.recipe.key)
    if parts is None or set(parts.files) != set(job.target.artifact.files):
        return None
    return workshop.store.record(_image_key(job, parts)) if job.target.artifact.image else parts


def entries_of(job: Job, record: Record) -> tuple[Entry, ...]:
    """The lines of bundle.json for a job's files."""
    target, artifact = job.target, job.target.artifact
    return tuple(
        Entry(
            path=target.path_of(name),
            name=artifact.name,
            version=artifact.version,
            kind=artifact.kind,
            arch=target.architecture,
            way=target.way,
            size=content.size,
            sha256=content.sha256,
            licence=artifact.licence,
            origin=artifact.origin,
            # Not the record's: the same bytes may have come from another address before.
            source=job.recipe.source,
            reference=artifact.image.reference if artifact.image else "",
        )
        for name, content in sorted(record.files.items())
    )


def obtain_all(jobs: Sequence[Job], workshop: Workshop) -> None:
    """Get every job's content into the store. The first failure stops the rest; what is finished stays cached."""
    with ThreadPoolExecutor(DOWNLOADS_AT_ONCE, "download") as downloads, ThreadPoolExecutor(1, "build") as builds:
        futures: list[Future[None]] = []
        try:
            for job in jobs:
                pool = builds if job.recipe.build else downloads
                futures.append(pool.submit(_obtain_or_skip, job, workshop))
            wait(futures, return_when=FIRST_EXCEPTION)
        finally:
            if any(future.exception() for future in futures if future.done()) or not all(f.done() for f in futures):
                workshop.cancel.set()
    errors = [error for future in futures if (error := future.exception())]
    reasons = [error for error in errors if not isinstance(error, StoppedError)] or errors
    for error in reasons:
        if not isinstance(error, BundleError):
            raise error
    if reasons:
        raise BundleError("\n".join(dict.fromkeys(str(error) for error in reasons)))


def _obtain_or_skip(job: Job, workshop: Workshop) -> None:
    if workshop.cancel.is_set():
        raise StoppedError(f"{job.target.label} was not begun.")
    with disk_sentences(workshop.cache, f"getting {job.target.label}"):
        obtain(job, workshop)


def obtain(job: Job, workshop: Workshop) -> Record:
    """The record of a job whose content is in the store, verified now or made now."""
    record = known_record(job, workshop)
    if record and _verified(job, record, workshop):
        return record
    parts = workshop.store.record(job.recipe.key)
    if parts is None or _verified(job, parts, workshop) is None:
        parts = _make_parts(job, workshop)
    return _make_image(job, parts, workshop) if job.target.artifact.image else parts


def _verified(job: Job, record: Record, workshop: Workshop) -> dict[str, Path] | None:
    found: dict[str, Path] = {}
    for name, content in record.files.items():
        path = workshop.store.verified(content.sha256, f"{job.target.label}, {name}")
        if path is None:
            return None
        found[name] = path
    return found


def _make_parts(job: Job, workshop: Workshop) -> Record:
    folder = workshop.store.workspace(job.target.artifact.name)
    try:
        made = job.recipe.make(folder)
        # A release's plain file is in the store already; what lies in the workspace moves there.
        record = Record({name: _keep(path, folder, workshop) for name, path in made.items()}, job.recipe.source)
    finally:
        remove_tree(folder)
    workshop.store.remember(job.recipe.key, record)
    return record


def _keep(path: Path, folder: Path, workshop: Workshop) -> Content:
    if folder in path.parents:
        return workshop.store.add(path)
    return Content(path.name, path.stat().st_size)


def _make_image(job: Job, parts: Record, workshop: Workshop) -> Record:
    artifact = job.target.artifact
    files = _verified(job, parts, workshop)
    if files is None or artifact.image is None:
        raise BundleError(f"{job.target.label}: its programs vanished from the cache while it was made. Run it again.")
    folder = workshop.store.workspace(artifact.name)
    try:
        made = image.make(artifact, artifact.image, job.target.architecture, files, folder)
        record = Record({f"{artifact.name}-{artifact.version}.tar": workshop.store.add(made)}, job.recipe.source)
    finally:
        remove_tree(folder)
    workshop.store.remember(_image_key(job, parts), record)
    return record


def _image_key(job: Job, parts: Record) -> str:
    artifact = job.target.artifact
    if artifact.image is None or job.target.architecture == ANY:
        raise BundleError(f"{job.target.label} is not an image.")
    contents = {name: content.sha256 for name, content in parts.files.items()}
    return key_of(image.recipe_facts(artifact, artifact.image, job.target.architecture, contents))
