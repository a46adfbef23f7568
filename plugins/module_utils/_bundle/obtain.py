# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Gets what is missing: downloads side by side, builds one after the other beside them, all into the store.

What is made of parts waits for all that is not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from . import image
from .catalogue_builds import parts_of
from .errors import BundleError, StoppedError
from .files import disk_sentences, key_of, remove_tree
from .manifest import Entry
from .plan import ANY, Target
from .recipes import Recipe, recipe_for
from .store import Content, Record
from .workshop import Workshop

DOWNLOADS_AT_ONCE = 4


@dataclass(frozen=True)
class Job:
    """A target with its recipe, and the jobs that make its parts."""

    target: Target
    recipe: Recipe
    parts: tuple[Job, ...] = ()

    @property
    def depth(self) -> int:
        """How many jobs must be done one after the other before this one."""
        return 1 + max(part.depth for part in self.parts) if self.parts else 0


def jobs_for(targets: Iterable[Target], workshop: Workshop) -> list[Job]:
    """The jobs of the targets; a part of several is one job."""
    made: dict[str, Job] = {}

    def job_for(target: Target) -> Job:
        if target.label not in made:
            parts = tuple(job_for(part) for part in target.parts)
            made[target.label] = Job(target, recipe_for(target, workshop), parts)
        return made[target.label]

    return [job_for(target) for target in targets]


def known_record(job: Job, workshop: Workshop) -> Record | None:
    """What this job gave before, as far as the cache remembers; nothing is read of the content itself."""
    key = _key(job, workshop)
    made = workshop.store.record(key) if key else None
    if made is None or set(made.files) != set(job.target.artifact.files):
        return None
    return workshop.store.record(_image_key(job, made)) if job.target.artifact.image else made


def _key(job: Job, workshop: Workshop) -> str | None:
    """The recipe's key, with the digests of the parts; none while one of them is not known."""
    if not job.parts:
        return job.recipe.key
    records = [known_record(part, workshop) for part in job.parts]
    known = [record for record in records if record]
    if len(known) < len(records):
        return None
    return key_of({"recipe": job.recipe.key, "parts": [content.sha256 for content in _contents(job, known)]})


def _contents(job: Job, records: Sequence[Record]) -> list[Content]:
    """The file that is wanted of each part."""
    wanted = parts_of(job.target.artifact.build).values()
    return [
        record.files[part.file] if part.file else next(iter(record.files.values()))
        for part, record in zip(wanted, records)
    ]


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
    all_jobs = {job.target.label: job for job in _with_parts(jobs, workshop)}
    for depth in sorted({job.depth for job in all_jobs.values()}):
        _obtain_side_by_side([job for job in all_jobs.values() if job.depth == depth], workshop)


def _with_parts(jobs: Iterable[Job], workshop: Workshop) -> Iterator[Job]:
    for job in jobs:
        yield job
        record = known_record(job, workshop) if job.parts else None
        # What is in the cache as a whole needs no parts.
        if not record or not all(workshop.store.path_of(item.sha256).is_file() for item in record.files.values()):
            yield from _with_parts(job.parts, workshop)


def _obtain_side_by_side(jobs: Sequence[Job], workshop: Workshop) -> None:
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
    key = _key(job, workshop)
    made = workshop.store.record(key) if key else None
    if made is None or _verified(job, made, workshop) is None:
        made = _make(job, workshop)
    return _make_image(job, made, workshop) if job.target.artifact.image else made


def _verified(job: Job, record: Record, workshop: Workshop) -> dict[str, Path] | None:
    found: dict[str, Path] = {}
    for name, content in record.files.items():
        path = workshop.store.verified(content.sha256, f"{job.target.label}, {name}")
        if path is None:
            return None
        found[name] = path
    return found


def _make(job: Job, workshop: Workshop) -> Record:
    # The parts are in the store by now, unless one was damaged there since.
    records = {part.target.label: obtain(part, workshop) for part in job.parts}
    parts = _contents(job, [records[part.target.label] for part in job.parts])
    key = _key(job, workshop)
    if key is None:
        raise _vanished(job)
    folder = workshop.store.workspace(job.target.artifact.name)
    try:
        made = job.recipe.make(folder, [workshop.store.path_of(part.sha256) for part in parts])
        # A release's plain file is in the store already; what lies in the workspace moves there.
        record = Record({name: _keep(path, folder, workshop) for name, path in made.items()}, job.recipe.source)
    finally:
        remove_tree(folder)
    workshop.store.remember(key, record)
    return record


def _vanished(job: Job) -> BundleError:
    return BundleError(f"{job.target.label}: a part of it vanished from the cache while it was made. Run it again.")


def _keep(path: Path, folder: Path, workshop: Workshop) -> Content:
    if folder in path.parents:
        return workshop.store.add(path)
    return Content(path.name, path.stat().st_size)


def _make_image(job: Job, programs: Record, workshop: Workshop) -> Record:
    artifact = job.target.artifact
    files = _verified(job, programs, workshop)
    if files is None or artifact.image is None:
        raise _vanished(job)
    folder = workshop.store.workspace(artifact.name)
    try:
        made = image.make(artifact, artifact.image, job.target.architecture, files, folder)
        record = Record({f"{artifact.name}-{artifact.version}.tar": workshop.store.add(made)}, job.recipe.source)
    finally:
        remove_tree(folder)
    workshop.store.remember(_image_key(job, programs), record)
    return record


def _image_key(job: Job, programs: Record) -> str:
    artifact = job.target.artifact
    if artifact.image is None or job.target.architecture == ANY:
        raise BundleError(f"{job.target.label} is not an image.")
    contents = {name: content.sha256 for name, content in programs.files.items()}
    return key_of(image.recipe_facts(artifact, artifact.image, job.target.architecture, contents))
