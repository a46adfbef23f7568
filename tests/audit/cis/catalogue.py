# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controls and the exceptions, as the data files have them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).resolve().parent
CONTROLS = FOLDER / "controls"
EXCEPTIONS = FOLDER / "exceptions.yml"


@dataclass(frozen=True)
class Control:
    """One control of the benchmark.

    Exactly one of three: `checks` that all must hold, `look` for what only a person can judge, or `not_applicable`
    with the reason. `otherwise` is the verdict where a check does not hold: `fail`, or `manual` where the benchmark
    leaves the judgement to a person and what was found helps him.
    """

    id: str
    title: str
    kind: str
    checks: tuple[Mapping[str, Any], ...] = ()
    look: str = ""
    not_applicable: str = ""
    otherwise: str = "fail"

    @property
    def key(self) -> tuple[int, ...]:
        """The id as numbers, so that 1.2.10 stands behind 1.2.9."""
        return tuple(int(part) for part in self.id.split("."))


@dataclass(frozen=True)
class ExceptionRule:
    """A failure that is accepted: of which control, for which subjects (shell patterns), and why."""

    control: str
    reason: str
    subjects: tuple[str, ...] = field(default=("*",))

    def covers(self, control: str, subject: str) -> bool:
        return control == self.control and any(fnmatchcase(subject, pattern) for pattern in self.subjects)


def load_controls(folder: Path = CONTROLS) -> tuple[Control, ...]:
    """Every control, in the benchmark's order."""
    controls = [
        _control(entry, path.name)
        for path in sorted(folder.glob("*.yml"))
        for entry in yaml.safe_load(path.read_text(encoding="utf-8"))
    ]
    return tuple(sorted(controls, key=lambda control: control.key))


def load_exceptions(path: Path = EXCEPTIONS) -> tuple[ExceptionRule, ...]:
    """Every exception of the file."""
    entries = yaml.safe_load(path.read_text(encoding="utf-8")) or []
    return tuple(
        ExceptionRule(control, entry["reason"], tuple(entry.get("subjects", ("*",))))
        for entry in entries
        for control in entry["controls"]
    )


def patterns_of(controls: tuple[Control, ...]) -> list[str]:
    """The files that the controls ask about."""
    return sorted({path for control in controls for check in control.checks for path in check.get("files", ())})


def _control(entry: Mapping[str, Any], file: str) -> Control:
    check = entry.get("check", ())
    control = Control(
        id=str(entry["id"]),
        title=entry["title"],
        kind=entry["kind"],
        checks=tuple(check) if isinstance(check, list) else ((check,) if check else ()),
        look=entry.get("look", ""),
        not_applicable=entry.get("not_applicable", ""),
        otherwise=entry.get("otherwise", "fail"),
    )
    said = [bool(control.checks), bool(control.not_applicable)]
    if sum(said) > 1 or not (any(said) or control.look) or control.kind not in ("automated", "manual"):
        raise ValueError(
            f"{file}: control {control.id} says neither or more than one of check, look and not_applicable"
        )
    return control
