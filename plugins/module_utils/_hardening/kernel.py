# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kernel parameters and modules: what is, what is wanted, and the way from one to the other."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .errors import HardeningError

Run = Callable[[Sequence[str]], "tuple[int, str, str]"]

SYSCTL = Path("/proc/sys")
MODULES = Path("/sys/module")


@dataclass(frozen=True)
class Parameter:
    """One kernel parameter. `value` is None where this kernel does not have it."""

    name: str
    wanted: str
    value: str | None
    writable: bool

    @property
    def differs(self) -> bool:
        return self.value != self.wanted


def normal(value: object) -> str:
    """A value as the kernel prints it, with single spaces between its numbers."""
    return " ".join(str(value).split())


def path_of(name: str, root: Path = SYSCTL) -> Path:
    """Where the kernel shows the parameter; `eth0.1` is written `eth0/1` in a name, as sysctl(8) has it."""
    return root / name.translate(str.maketrans("./", "/."))


def look(wanted: Mapping[str, object], root: Path = SYSCTL) -> tuple[Parameter, ...]:
    """Each wanted parameter as it is now."""
    return tuple(_look(name, normal(value), path_of(name, root)) for name, value in wanted.items())


def _look(name: str, wanted: str, path: Path) -> Parameter:
    try:
        value: str | None = normal(path.read_text(encoding="utf-8"))
    except PermissionError:
        # Some can be written and not read.
        value = ""
    except OSError:
        value = None
    return Parameter(name, wanted, value, os.access(path, os.W_OK))


def load(parameters: Sequence[Parameter], root: Path = SYSCTL) -> None:
    """Set all that differ, and say all that could not be set."""
    refused = [f"{parameter.name} = {parameter.wanted} ({_write(parameter, root)})" for parameter in parameters]
    refused = [text for text in refused if not text.endswith(" ()")]
    if refused:
        raise HardeningError(
            f"the kernel refused these parameters: {'; '.join(refused)}. The others are set. Give those that this "
            "kernel cannot have the value null in hardening_sysctl; a container that shares its machine's kernel wants "
            "hardening_kernel: false."
        )


def _write(parameter: Parameter, root: Path) -> str:
    """Set one; return why it could not be set, or nothing."""
    path = path_of(parameter.name, root)
    try:
        handle = os.open(path, os.O_WRONLY)
        try:
            os.write(handle, f"{parameter.wanted}\n".encode())
        finally:
            os.close(handle)
        now = normal(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return "there is no such parameter in it"
    except OSError as error:
        return str(error.strerror)
    return "" if now == parameter.wanted else f"it made {now} of it"


def missing_modules(names: Sequence[str], loaded: Path = MODULES) -> tuple[str, ...]:
    """Modules that are neither loaded nor built in (those that are built in without a parameter show up nowhere)."""
    return tuple(name for name in names if not (loaded / name.replace("-", "_")).exists())


def built_in(names: Sequence[str], release: str, folder: Path = Path("/lib/modules")) -> tuple[str, ...]:
    """Which of these modules the kernel has inside, by its own list."""
    try:
        text = (folder / release / "modules.builtin").read_text(encoding="utf-8")
    except OSError:
        return ()
    inside = {Path(line).name.split(".")[0].replace("-", "_") for line in text.splitlines()}
    return tuple(name for name in names if name.replace("-", "_") in inside)


def load_modules(names: Sequence[str], run: Run) -> None:
    """Load them all; each that cannot be is named."""
    refused = [f"{name} ({error.strip()})" for name in names for code, _out, error in [run(["modprobe", name])] if code]
    if refused:
        raise HardeningError(
            f"these kernel modules could not be loaded: {'; '.join(refused)}. Install the kernel's modules, or take "
            "them out of hardening_modules."
        )
