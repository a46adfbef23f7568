# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""Typed reading of a JSON object that a stranger sent: each wrong value becomes a 400 that names its field."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from holdfast_inference.server.errors import ApiError, invalid

_KINDS = {bool: "a boolean", int: "an integer", float: "a number", str: "a string", list: "an array", dict: "an object"}


def kind_of(value: Any) -> str:
    """How to call a JSON value in a message."""
    return "null" if value is None else _KINDS.get(type(value), "a value")


class Fields:
    """An object's members. null counts as absent; what nobody asked for is unknown, and ignored."""

    def __init__(self, members: dict[str, Any], where: str = "") -> None:
        self._members = members
        self._where = where
        self._asked: set[str] = set()

    @classmethod
    def of(cls, value: Any, where: str) -> Fields:
        """The members of a value that must be an object."""
        if not isinstance(value, dict):
            name = where or "The request body"
            raise invalid(f"{name} must be an object, not {kind_of(value)}.", where or None, "invalid_type")
        return cls(value, where)

    def name(self, member: str) -> str:
        """The full name of a member, for messages."""
        return f"{self._where}.{member}" if self._where else member

    def raw(self, member: str) -> Any:
        """A member as it came, or None."""
        self._asked.add(member)
        return self._members.get(member)

    def known(self, *members: str) -> None:
        """Members that are understood and change nothing here."""
        self._asked.update(members)

    def unknown(self) -> list[str]:
        """Members that nobody asked for."""
        return [member for member in self._members if member not in self._asked]

    def wrong(self, member: str, wanted: str) -> ApiError:
        """The error for a member that is not what it must be."""
        found = kind_of(self._members.get(member))
        return invalid(f"{self.name(member)} must be {wanted}, not {found}.", self.name(member), "invalid_type")

    def text(self, member: str) -> str | None:
        """A string, or None."""
        value = self.raw(member)
        if value is not None and not isinstance(value, str):
            raise self.wrong(member, "a string")
        return value

    def required_text(self, member: str) -> str:
        """A string that must be there."""
        value = self.text(member)
        if value is None:
            raise invalid(f"{self.name(member)} is missing.", self.name(member), "missing_required_parameter")
        return value

    def choice(self, member: str, allowed: Sequence[str], default: str) -> str:
        """One of a few strings."""
        value = self.text(member)
        if value is None:
            return default
        if value not in allowed:
            raise invalid(f"{self.name(member)} must be one of {', '.join(allowed)}.", self.name(member))
        return value

    def boolean(self, member: str, default: bool = False) -> bool:
        """true or false."""
        value = self.raw(member)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self.wrong(member, "a boolean")
        return value

    def number(self, member: str, default: float, low: float, high: float) -> float:
        """A finite number within its bounds. A string of digits is none."""
        value = self.raw(member)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.wrong(member, "a number")
        # Compared before it becomes a float: an integer of a thousand digits has none.
        if not low <= value <= high or not math.isfinite(value):
            raise invalid(f"{self.name(member)} must be from {low:g} to {high:g}.", self.name(member))
        return float(value)

    def integer(self, member: str, low: int, high: int) -> int | None:
        """A whole number within its bounds, or None."""
        value = self.raw(member)
        if value is None:
            return None
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.wrong(member, "an integer")
        if not low <= value <= high:
            raise invalid(f"{self.name(member)} must be from {low} to {high}.", self.name(member))
        return value

    def array(self, member: str, most: int) -> list[Any] | None:
        """An array of bounded length, or None."""
        value = self.raw(member)
        if value is None:
            return None
        if not isinstance(value, list):
            raise self.wrong(member, "an array")
        if len(value) > most:
            raise invalid(f"{self.name(member)} has {len(value)} entries; {most} are allowed.", self.name(member))
        return value

    def member(self, member: str) -> Fields | None:
        """An object within, or None."""
        value = self.raw(member)
        return None if value is None else Fields.of(value, self.name(member))

    def ids(self, member: str) -> tuple[int, ...] | None:
        """Token ids, or None."""
        value = self.raw(member)
        if value is None:
            return None
        found = ids_in(value)
        if found is None:
            raise self.wrong(member, "an array of token ids")
        return found


def ids_in(value: Any) -> tuple[int, ...] | None:
    """What may be token ids, or None where a value is something else. 7.0 is an integer in JSON, and true is none."""
    if not isinstance(value, list):
        return None
    whole = (entry for entry in value if type(entry) is int or (type(entry) is float and entry.is_integer()))
    ids = tuple(int(entry) for entry in whole if 0 <= entry < 2**31)
    return ids if len(ids) == len(value) else None
