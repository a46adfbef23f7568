# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a control is, and what is known of a host when it is judged."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Facts:
    """All that `look.py` saw on one host."""

    seen: Mapping[str, Any]

    def file(self, path: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.seen["files"][path]
        return found

    def parameter(self, name: str) -> str:
        return str(self.seen["parameters"].get(name, "not there"))

    def installed(self, package: str) -> bool:
        return f"installed {package}" in self.seen["packages"]

    def mount(self, place: str) -> Sequence[str]:
        """The options of what is mounted last at that place; none where nothing is."""
        found = [fields[3].split(",") for fields in self.seen["mounts"] if fields[1] == place]
        return found[-1] if found else ()

    def sshd(self, name: str) -> tuple[str, ...]:
        return _values(self.seen["sshd"], name)

    def ssh(self, name: str) -> tuple[str, ...]:
        return _values(self.seen["ssh"], name)


def _values(printed: str, name: str) -> tuple[str, ...]:
    lines = [line.partition(" ") for line in printed.splitlines()]
    return tuple(value.strip() for key, _, value in lines if key == name.lower())


Judge = Callable[[Facts], str]
"""Returns what is wrong; nothing when the control holds."""


@dataclass(frozen=True)
class Control:
    """One control of a published baseline, by its id, asked in our own way."""

    id: str
    asks: str
    judge: Judge


@dataclass(frozen=True)
class Verdict:
    """How one control ended on one host."""

    control: Control
    wrong: str

    @property
    def holds(self) -> bool:
        return not self.wrong


def judge(controls: Sequence[Control], facts: Facts) -> tuple[Verdict, ...]:
    """Ask all of them."""
    return tuple(Verdict(control, control.judge(facts)) for control in controls)


def parameter(**wanted: Sequence[str]) -> Judge:
    """Kernel parameters, dots written as two underscores, each with the values that will do."""

    def asked(facts: Facts) -> str:
        names = {name.replace("__", "."): values for name, values in wanted.items()}
        wrong = [
            f"{name} is {facts.parameter(name)}"
            for name, will_do in names.items()
            if facts.parameter(name) not in will_do
        ]
        return ", ".join(wrong)

    return asked


def each(judge_one: Callable[[Facts, Any], str], things: Sequence[Any]) -> Judge:
    """The same question about several things."""
    return lambda facts: "; ".join(filter(None, (judge_one(facts, thing) for thing in things)))
