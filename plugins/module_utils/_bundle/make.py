# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes a bundle: look at what is there, get what is missing, put the new folder in place. Read from `make_bundle`."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .catalogue import Artifact
from .download import Patience
from .errors import BundleError
from .exchange import mirrored, size_of
from .files import link_or_copy, sync_file, write_whole
from .inspection import MISSING, OK, UNKNOWN, Finding, inspect
from .locks import only_one, only_one_bundle
from .manifest import MANIFEST_NAME, Entry, listing, read_manifest, render, total_size
from .obtain import Job, entries_of, jobs_for, known_record, obtain_all
from .plan import Wish, choose
from .progress import spoken_size
from .recipes import release_url
from .swap import recover, refuse_foreign, staged
from .workshop import Workshop

__all__ = ["Outcome", "Patience", "check_bundle", "make_bundle"]

HOW = {"release": "to be downloaded", "build": "to be built"}


@dataclass(frozen=True)
class Outcome:
    """What a run did, or in check mode would do."""

    changed: bool
    entries: tuple[Entry, ...]
    before: str
    after: str
    artifacts: list[dict[str, Any]]
    missing: list[dict[str, Any]]
    warnings: list[str]

    @property
    def notes(self) -> list[str]:
        """Which artifacts came another way than asked, and why."""
        return [
            f"{item['name']} {item['version']}: by {item['way']}, {item['note']}"
            for item in self.artifacts
            if item["note"]
        ]

    @property
    def summary(self) -> str:
        """What there is, or what is missing, in one line."""
        if self.missing:
            known = sum(item["size"] or 0 for item in self.missing)
            open_sizes = sum(item["size"] is None for item in self.missing)
            about = "" if all(item["exact"] for item in self.missing) else "about "
            more = f" and {open_sizes} of unknown size" if open_sizes else ""
            return (
                f"{len(self.missing)} of {len(self.artifacts)} artifacts are missing, {about}{spoken_size(known)}{more}"
            )
        ways = Counter(str(item["way"]) for item in self.artifacts)
        had = ", ".join(f"{count} by {way}" for way, count in sorted(ways.items()))
        files = f"{len(self.artifacts)} artifacts in {len(self.entries)} files"
        return f"{files}, {spoken_size(total_size(self.entries))}{had and '; ' + had}"


@dataclass(frozen=True)
class Survey:
    """A job, the lines of bundle.json that it is known to give (none if it was never done), and the state of each."""

    job: Job
    entries: tuple[Entry, ...]
    findings: tuple[Finding, ...]

    @property
    def present(self) -> bool:
        return bool(self.entries) and all(finding.state == OK for finding in self.findings)


def make_bundle(
    path: Path, artifacts: Sequence[Artifact], wish: Wish, workshop: Workshop, wait: float = 600
) -> Outcome:
    """Bring the bundle in `path` to what is wished, and verify every file of it."""
    refuse_foreign(path)
    store_lock = workshop.cache / "store" / "lock"
    with only_one(store_lock, f"the cache {workshop.cache}", wait, workshop.progress, workshop.cancel):
        workshop.store.open()
        with only_one_bundle(path, wait, workshop.progress, workshop.cancel):
            recover(path)
            return _make(path, artifacts, wish, workshop)


def _make(path: Path, artifacts: Sequence[Artifact], wish: Wish, workshop: Workshop) -> Outcome:
    surveys, strangers = survey(path, artifacts, wish, workshop)
    before = _manifest_text(path)
    lacking = [item.job for item in surveys if not item.present]
    if lacking:
        workshop.progress.say(f"{len(surveys) - len(lacking)} of {len(surveys)} artifacts are here and verified")
        obtain_all(lacking, workshop)
    records = {item.job.target.label: known_record(item.job, workshop) for item in surveys}
    final = {
        item.job.target.label: item.entries if item.present else _entries(item.job, records[item.job.target.label])
        for item in surveys
    }
    entries = tuple(sorted((entry for part in final.values() for entry in part), key=lambda entry: entry.path))
    changed = bool(lacking or strangers) or render(entries) != _raw_manifest(path)
    if changed:
        good = {finding.path for item in surveys for finding in item.findings if finding.state == OK}
        _assemble(path, entries, good, workshop)
    workshop.progress.say(f"{path} holds {len(entries)} verified files, {spoken_size(total_size(entries))}")
    return Outcome(
        changed=changed,
        entries=entries,
        before=before,
        after=listing(entries),
        artifacts=[
            _summary(item, final[item.job.target.label], bool(lacking) and not item.present) for item in surveys
        ],
        missing=[],
        warnings=_warnings(surveys, strangers),
    )


def check_bundle(path: Path, artifacts: Sequence[Artifact], wish: Wish, workshop: Workshop) -> Outcome:
    """What `make_bundle` would do; nothing is written anywhere."""
    refuse_foreign(path)
    surveys, strangers = survey(path, artifacts, wish, workshop)
    lacking = [item for item in surveys if not item.present]
    # Side by side, because a network that answers nothing costs the whole timeout each time.
    with ThreadPoolExecutor(8) as pool:
        missing = list(pool.map(lambda item: _missing(item, workshop), lacking))
    entries = tuple(sorted((entry for item in surveys for entry in item.entries), key=lambda entry: entry.path))
    unknown = [item.job for item in surveys if not item.entries]
    changed = bool(lacking or strangers or unknown) or render(entries) != _raw_manifest(path)
    promised = "".join(
        f"{job.target.path_of(name)}  {HOW[job.target.way]}  {job.target.label}\n"
        for job in unknown
        for name in job.target.artifact.files
    )
    return Outcome(
        changed=changed,
        entries=entries,
        before=_manifest_text(path),
        after="".join(sorted((listing(entries) + promised).splitlines(keepends=True))),
        artifacts=[_summary(item, item.entries, not item.present) for item in surveys],
        missing=missing,
        warnings=_warnings(surveys, strangers),
    )


def survey(
    path: Path, artifacts: Sequence[Artifact], wish: Wish, workshop: Workshop
) -> tuple[list[Survey], list[Finding]]:
    """Every target with the state of its files, and the files that nobody asked for."""
    jobs = jobs_for(choose(artifacts, wish), workshop)
    known = {}
    for job in jobs:
        record = known_record(job, workshop)
        known[job.target.label] = entries_of(job, record) if record else ()
    wanted = [entry for entries in known.values() for entry in entries]
    findings = (
        inspect(path, wanted) if path.is_dir() else [Finding(e.path, MISSING, f"{e.path} is missing") for e in wanted]
    )
    state = {finding.path: finding for finding in findings}
    surveys = [
        Survey(job, known[job.target.label], tuple(state[entry.path] for entry in known[job.target.label]))
        for job in jobs
    ]
    return surveys, [finding for finding in findings if finding.state == UNKNOWN]


def _entries(job: Job, record: Any) -> tuple[Entry, ...]:
    if record is None:
        raise BundleError(f"{job.target.label} was made, but the cache has no record of it. Run it again.")
    return entries_of(job, record)


def _assemble(path: Path, entries: Sequence[Entry], good: set[str], workshop: Workshop) -> None:
    """Build the new folder beside the old one: links to what was verified there, copies of the rest."""
    with staged(path) as fresh:
        for entry in entries:
            target = fresh / entry.path
            target.parent.mkdir(parents=True, exist_ok=True)
            if entry.path in good:
                link_or_copy(path / entry.path, target)
            else:
                source = workshop.store.verified(entry.sha256, entry.label)
                if source is None:
                    raise BundleError(f"{entry.label} vanished from the cache while the bundle was made. Run it again.")
                # Never a link: then a change in the bundle would reach into the cache.
                shutil.copyfile(source, target)
                target.chmod(entry.mode)
                sync_file(target)
        write_whole(fresh / MANIFEST_NAME, render(entries))


def _raw_manifest(path: Path) -> str:
    manifest = path / MANIFEST_NAME
    return manifest.read_text(encoding="utf-8", errors="replace") if manifest.is_file() else ""


def _manifest_text(path: Path) -> str:
    try:
        return listing(read_manifest(path) or ())
    except BundleError:
        # A manifest that cannot be read is replaced like any other damaged file.
        return ""


def _missing(item: Survey, workshop: Workshop) -> dict[str, Any]:
    job, artifact = item.job, item.job.target.artifact
    size = total_size(item.entries) if item.entries else None
    if size is None and job.target.way == "release" and artifact.release:
        size = size_of(
            mirrored(release_url(job.target, artifact.release), workshop.mirror), min(workshop.patience.timeout, 10.0)
        )
    about = ""
    if size is None and artifact.usual_mib:
        about, size = "about ", artifact.usual_mib << 20
    cached = bool(item.entries) and all(workshop.store.path_of(entry.sha256).is_file() for entry in item.entries)
    how = "from the cache" if cached else HOW[job.target.way]
    return {
        "name": artifact.name,
        "version": artifact.version,
        "arch": job.target.architecture,
        "way": job.target.way,
        "size": size,
        "exact": bool(size is not None and not about),
        "summary": f"{job.target.label}: {about}{spoken_size(size)}, {how}",
    }


def _summary(item: Survey, entries: Sequence[Entry], changed: bool) -> dict[str, Any]:
    target = item.job.target
    return {
        "name": target.artifact.name,
        "version": target.artifact.version,
        "kind": target.artifact.kind,
        "arch": target.architecture,
        "way": target.way,
        "note": target.note,
        "size": total_size(entries) if entries else None,
        "changed": changed,
        "files": [{"path": entry.path, "size": entry.size, "sha256": entry.sha256} for entry in entries],
    }


def _warnings(surveys: Sequence[Survey], strangers: Sequence[Finding]) -> list[str]:
    """A changed file is named, although it is replaced: someone or some disk changed it."""
    findings = [finding for item in surveys for finding in item.findings if finding.state not in (OK, MISSING)]
    return [f"{finding.sentence}; it is replaced" for finding in findings] + [
        f"{finding.sentence}; it is removed" for finding in strangers
    ]
