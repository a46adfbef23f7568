# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Versions of k3s, and which may follow or stand beside which."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import total_ordering

from .errors import K3sError

FORM = re.compile(r"v?(\d+)\.(\d+)\.(\d+)(?:-([0-9A-Za-z.]+))?(?:\+k3s(\d+))?(?:\+\S*)?")


@total_ordering
@dataclass(frozen=True)
class Version:
    """Such as 1.36.4+k3s1; what stands behind the plus sign tells two builds of one Kubernetes apart."""

    major: int
    minor: int
    patch: int
    before: str = ""
    build: int = 0

    @classmethod
    def parse(cls, text: str) -> Version:
        found = FORM.fullmatch(text.strip())
        if not found:
            raise K3sError(f"{text!r} is no version of k3s; write one such as 1.36.4+k3s1")
        major, minor, patch, before, build = found.groups()
        return cls(int(major), int(minor), int(patch), before or "", int(build or 0))

    def _order(self) -> tuple[int, int, int, bool, str, int]:
        return (self.major, self.minor, self.patch, not self.before, self.before, self.build)

    def __lt__(self, other: object) -> bool:
        if not isinstance(other, Version):
            return NotImplemented
        return self._order() < other._order()

    def __str__(self) -> str:
        before = f"-{self.before}" if self.before else ""
        build = f"+k3s{self.build}" if self.build else ""
        return f"{self.major}.{self.minor}.{self.patch}{before}{build}"

    @property
    def release(self) -> tuple[int, int, int]:
        """That of Kubernetes; not every server says which build of it runs."""
        return (self.major, self.minor, self.patch)

    @property
    def line(self) -> tuple[int, int]:
        """Major and minor: what Kubernetes' rules of skew count."""
        return (self.major, self.minor)


def crosses_minor(old: str, new: str) -> bool:
    """Whether the step changes the minor version, which is when a node is drained first."""
    return bool(old and new) and Version.parse(old).line != Version.parse(new).line


@dataclass(frozen=True)
class Step:
    """What is about to be installed where. `others` are the versions that the cluster's servers run, by node."""

    node: str
    verb: str
    wanted: str
    running: str
    others: Mapping[str, str]


def problems(step: Step) -> list[str]:
    """Why the step is refused; none where it may be taken."""
    return list(_problems(step))


def _problems(step: Step) -> Iterator[str]:
    wanted = Version.parse(step.wanted)
    if step.running:
        yield from _from_running(step, wanted, Version.parse(step.running))
    others = {name: Version.parse(text) for name, text in step.others.items() if name != step.node}
    if step.verb == "agent":
        older = sorted(name for name, version in others.items() if version.release < wanted.release)
        if older:
            yield (
                f"k3s {wanted} of an agent would be newer than that of {', '.join(older)}, "
                "and an agent is never newer than a server; run the servers first (site.yml without --limit does)"
            )
        return
    for name, version in sorted(others.items()):
        if wanted.minor - version.minor > 1 or wanted.major != version.major:
            yield (
                f"server {name} runs k3s {version}, and beside it no server of {wanted} may run; "
                f"go to {version.major}.{version.minor + 1} on all nodes first"
            )
        elif version.minor > wanted.minor and not step.running:
            yield (
                f"server {name} runs k3s {version} already, so a new server of {wanted} would be a downgrade of the "
                "API; set k3s_version to what the site runs"
            )


def _from_running(step: Step, wanted: Version, running: Version) -> Iterator[str]:
    if wanted.major != running.major:
        yield f"k3s {wanted} is of another major version than {running}, which runs; nobody has proved that step"
    elif wanted.minor < running.minor:
        yield (
            f"k3s {wanted} is older than {running}, which runs, by a minor version: the datastore may hold what it "
            "cannot read; go back with playbooks/rollback.yml and the backup of before"
        )
    elif wanted.minor > running.minor + 1:
        yield (
            f"k3s {wanted} skips a minor version after {running}; "
            f"set k3s_version to a {running.major}.{running.minor + 1} release first"
        )
