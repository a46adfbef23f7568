# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the fields of one catalogue entry and names the entry and the field in every complaint."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

from .errors import CatalogueError

# Names become folders and files, so none may contain a separator or begin with a dot or a dash.
PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")
SHA256 = re.compile(r"[0-9a-f]{64}")


class Fields:
    """A mapping whose values are taken one by one; what is left at the end was a mistake."""

    def __init__(self, entry: str, values: Any, prefix: str = "", catalogue: str = "artifacts.yml") -> None:
        self.entry = entry
        self.catalogue = catalogue
        self._prefix = prefix
        if not isinstance(values, Mapping):
            raise self.wrong(prefix.rstrip(".") or "entry", "is not a mapping")
        self._left = dict(values)

    def wrong(self, name: str, problem: str) -> CatalogueError:
        """The complaint about one field, to be raised."""
        return CatalogueError(f"{self.catalogue}, {self.entry}: {name} {problem}.")

    def path(self, name: str) -> str:
        """The field's full name as a reader of the file knows it."""
        return f"{self._prefix}{name}"

    def has(self, name: str) -> bool:
        return self._left.get(name) is not None

    def take(self, name: str, default: Any = None) -> Any:
        value = self._left.pop(name, None)
        return default if value is None else value

    def text(self, name: str, default: str | None = None) -> str:
        value = self.take(name, default)
        if not isinstance(value, str) or not value or "\n" in value:
            raise self.wrong(self.path(name), "must be a text of one line" if value is not None else "is missing")
        return value

    def plain(self, name: str) -> str:
        return self.plain_text(name, self.text(name))

    def plain_text(self, name: str, value: str) -> str:
        """The text itself, if it may be the name of a file or a folder."""
        if not PLAIN_NAME.fullmatch(value):
            raise self.wrong(self.path(name), f"is {value!r}, but only letters, digits and . _ + - may be in it")
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        value = self.take(name, [])
        if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
            raise self.wrong(self.path(name), "must be a list of texts")
        return tuple(cast("list[str]", value))

    def plains(self, name: str) -> tuple[str, ...]:
        return tuple(self.plain_text(name, item) for item in self.texts(name))

    def mapping(self, name: str) -> dict[str, str]:
        value = self.take(name, {})
        if not isinstance(value, Mapping) or not all(isinstance(part, str) and part for part in value.values()):
            raise self.wrong(self.path(name), "must be a mapping of texts")
        return {str(key): text for key, text in value.items()}

    def mapping_of_files(self, name: str) -> dict[str, str]:
        value = self.mapping(name)
        for key in value:
            self.plain_text(name, key)
        return value

    def inside(self, name: str) -> Fields:
        return Fields(self.entry, self.take(name), self.path(name) + ".", self.catalogue)

    def number(self, name: str) -> int | None:
        value = self.take(name)
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 0):
            raise self.wrong(self.path(name), "must be a whole number")
        return value

    def finish(self) -> None:
        """Complain about a field that nobody asked for: it is a misspelling more often than not."""
        unknown = sorted(str(name) for name, value in self._left.items() if value is not None)
        if unknown:
            raise self.wrong(self.path(unknown[0]), "is not a field that is known here")
