# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a configuration means to k3s what its writer meant.

A server of k3s skips a key that it does not know with one line in its journal, and an agent ends at one. Neither
happens to a configuration that was judged here first.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .flag_table import INSTEAD, TABLE
from .versions import Version

DURATION = re.compile(r"(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+")
VERBS = ("server", "agent")
# Values that YAML 1.1 reads as truth, and that were meant as words.
SCALARS = {"string": str, "duration": str}


@dataclass(frozen=True)
class Flag:
    """One key of a configuration file."""

    name: str
    verbs: tuple[str, ...]
    kind: str
    same: bool
    since: tuple[Version, ...]

    def known_to(self, version: Version | None) -> bool:
        """Whether that release has it; an unknown release has everything."""
        if version is None or not self.since:
            return True
        first = [known for known in self.since if known.minor == version.minor]
        return version >= first[0] if first else version > max(self.since)


def _read(table: str) -> dict[str, Flag]:
    flags = {}
    for line in table.strip().splitlines():
        name, verb, kind, *rest = line.split(None, 3)
        notes = [note.strip() for note in (rest[0] if rest else "").split(",")]
        since = next((note.split()[1:] for note in notes if note.startswith("since ")), [])
        flags[name] = Flag(
            name=name,
            verbs=VERBS if verb == "both" else (verb,),
            kind=kind,
            same="same" in notes,
            since=tuple(Version.parse(text) for text in since),
        )
    return flags


FLAGS: Mapping[str, Flag] = _read(TABLE)
SAME_EVERYWHERE = frozenset(flag.name for flag in FLAGS.values() if flag.same)


def problems(config: Mapping[Any, Any], verb: str, version: str = "") -> list[str]:
    """Every key that `k3s VERB` would not take as it is written, each as a sentence with its remedy."""
    release = Version.parse(version) if version else None
    return [text for key, value in config.items() for text in _faults(key, value, verb, release)]


def _faults(key: Any, value: Any, verb: str, release: Version | None) -> Iterator[str]:
    if not isinstance(key, str):
        yield f"{key!r} is no word, so YAML has read it as something else; quote it"
        return
    flag = FLAGS.get(key)
    if flag is None:
        yield _unknown(key, verb)
    elif verb not in flag.verbs:
        yield f"{key} is a key of k3s {flag.verbs[0]}, and this is the configuration of an {verb}; take it away here"
    elif not flag.known_to(release):
        first = _first(flag, release)
        yield f"{key} came to k3s with {first}, and this node is to run {release}; take it away or raise k3s_version"
    else:
        yield from _value_faults(flag, value)


def _unknown(key: str, verb: str) -> str:
    if key in INSTEAD:
        return f"{key} is no key of k3s any more; use {INSTEAD[key]}"
    if key.endswith("+"):
        return (
            f"{key} adds to what earlier files gave, and there is one file only; write {key[:-1]} with all its values"
        )
    known = [name for name, flag in FLAGS.items() if verb in flag.verbs]
    near = difflib.get_close_matches(key.replace("_", "-").lower(), known, n=1, cutoff=0.6)
    meant = f"; did you mean {near[0]}?" if near else ""
    return f"k3s {verb} has no key {key}{meant or '; see `k3s ' + verb + ' --help` for those it has'}"


def _first(flag: Flag, release: Version | None) -> str:
    same = [str(known) for known in flag.since if release and known.minor == release.minor]
    return same[0] if same else str(max(flag.since))


def _value_faults(flag: Flag, value: Any) -> Iterator[str]:
    if flag.kind == "list":
        items = value if isinstance(value, list) else [value]
        if any(not isinstance(item, str) or not item for item in items):
            yield f"{flag.name} takes a list of words; quote each of {items!r} that is none"
    elif isinstance(value, (list, dict)) or value is None:
        yield f"{flag.name} takes one {flag.kind}, and has {value!r}"
    elif flag.kind == "bool" and not isinstance(value, bool):
        yield f"{flag.name} is true or false, and has {value!r}"
    elif flag.kind == "int" and (isinstance(value, bool) or not isinstance(value, int)):
        yield f"{flag.name} is a number, and has {value!r}"
    elif flag.kind == "duration" and not (isinstance(value, str) and DURATION.fullmatch(value)):
        yield f"{flag.name} is a time such as '10m', and has {value!r}"
    elif flag.kind == "string" and not isinstance(value, str):
        yield f"{flag.name} is a word, and YAML has read {value!r}; quote it (an unquoted 0644 becomes another number)"
