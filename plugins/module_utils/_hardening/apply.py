# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Modules, kernel parameters, values in others' files and units of a node, brought to what is wanted."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .._found import ledger
from . import kernel, reread, units
from .errors import HardeningError
from .kernel import Run
from .settings import with_values

SYSTEM_UNITS = Path("/etc/systemd/system")

# The argument spec of all that can be wanted, for the modules that bring it and that look at it.
OPTIONS: Mapping[str, Any] = {
    "modules": {"type": "list", "elements": "str", "default": []},
    "sysctl": {"type": "dict", "default": {}},
    "values": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "path": {"type": "path", "required": True},
            "values": {"type": "dict", "required": True},
            "separator": {"type": "str", "default": " "},
        },
    },
    "units_off": {"type": "list", "elements": "str", "default": []},
    "units_on": {"type": "list", "elements": "str", "default": []},
    "reread": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "command": {"type": "list", "elements": "str", "required": True},
            "files": {"type": "list", "elements": "path", "required": True},
        },
    },
}


@dataclass(frozen=True)
class Wanted:
    """All that the module was asked for."""

    modules: Sequence[str]
    sysctl: Mapping[str, object]
    values: Sequence[Mapping[str, Any]]
    units_off: Sequence[str]
    units_on: Sequence[str]
    reread: Sequence[Mapping[str, Any]] = ()
    changed_files: Sequence[str] = ()
    afterwards: Sequence[Sequence[str]] = ()


@dataclass
class Outcome:
    """What was, and what is or would be, line by line."""

    before: list[str] = field(default_factory=list)
    after: list[str] = field(default_factory=list)

    @property
    def changed(self) -> bool:
        return bool(self.before or self.after)

    def note(self, before: str, after: str) -> None:
        self.before.append(before)
        self.after.append(after)


def bring(wanted: Wanted, run: Run, write: bool, found: Path = ledger.FOLDER, stamps: Path = reread.STAMPS) -> Outcome:
    """Change what differs; without `write` only tell it. What was there first is noted in `found`, for a reset."""
    outcome = Outcome()
    if write:
        masks = [SYSTEM_UNITS / name for name in wanted.units_off]
        ledger.remember([*(Path(file["path"]) for file in wanted.values), *masks], found)
    _modules(wanted.modules, run, write, outcome)
    _sysctl(wanted.sysctl, write, outcome)
    changed = {*wanted.changed_files}
    for file in wanted.values:
        if _values(Path(file["path"]), file["values"], str(file["separator"]), write, outcome):
            changed.add(str(file["path"]))
    _units(wanted, run, write, outcome)
    for reader in wanted.reread:
        command, files = reader["command"], reader["files"]
        if changed.intersection(files) or reread.due(command, files, stamps):
            outcome.after.append(f"run {' '.join(command)}")
            if write:
                with reread.noted(command, stamps):
                    _run(command, run)
    for command in wanted.afterwards:
        outcome.after.append(f"run {' '.join(command)}")
        if write:
            _run(command, run)
    return outcome


def _run(command: Sequence[str], run: Run) -> None:
    code, out, error = run(command)
    if code:
        raise HardeningError(f"{' '.join(command)} failed: {error.strip() or out.strip()}")


def _modules(names: Sequence[str], run: Run, write: bool, outcome: Outcome) -> None:
    absent = kernel.missing_modules(names)
    absent = tuple(name for name in absent if name not in kernel.built_in(absent, os.uname().release))
    for name in absent:
        outcome.note(f"module {name} is not loaded", f"module {name} is loaded")
    if absent and write:
        kernel.load_modules(absent, run)


def _sysctl(wanted: Mapping[str, object], write: bool, outcome: Outcome) -> None:
    differing = [parameter for parameter in kernel.look(wanted) if parameter.differs]
    for parameter in differing:
        there = "not there" if parameter.value is None else parameter.value
        outcome.note(f"{parameter.name} = {there}", f"{parameter.name} = {parameter.wanted}")
    if differing and write:
        kernel.load(differing)


def _values(path: Path, values: Mapping[str, object], separator: str, write: bool, outcome: Outcome) -> bool:
    try:
        before = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        if write:
            raise HardeningError(f"{path} is not there, so no value can be set in it") from None
        outcome.note(f"{path} is not there yet", f"{path} has {len(values)} values of ours")
        return True
    after = with_values(before, {key: str(value) for key, value in values.items()}, separator)
    if after == before:
        return False
    ours = set(after.splitlines()) - set(before.splitlines())
    theirs = set(before.splitlines()) - set(after.splitlines())
    outcome.before += [f"{path}: {line}" for line in sorted(theirs)]
    outcome.after += [f"{path}: {line}" for line in sorted(ours)]
    if write:
        _replace(path, after)
    return True


def _replace(path: Path, text: str) -> None:
    """Put the text in the file's place in one step; owner and mode stay."""
    there = path.stat()
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fchmod(stream.fileno(), there.st_mode & 0o7777)
            os.fchown(stream.fileno(), there.st_uid, there.st_gid)
            os.fsync(stream.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink()
        raise


def _units(wanted: Wanted, run: Run, write: bool, outcome: Outcome) -> None:
    seen = units.look([*wanted.units_off, *wanted.units_on], run)
    off = [name for name in wanted.units_off if seen[name].can_run]
    on = [name for name in wanted.units_on if not seen[name].serves]
    for name in off:
        outcome.note(str(seen[name]), f"{name}: masked, inactive")
    for name in on:
        outcome.note(str(seen[name]), f"{name}: enabled, active")
    if not write:
        return
    units.change(["mask", "--now"], off, run)
    units.change(["unmask"], [name for name in on if seen[name].load == "masked"], run)
    units.change(["enable", "--now"], on, run)
