# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""API keys: a file of digests that is read again when it changes, and compared in constant time.

A line is `name sha256:<64 hex digits>`, with `scopes=answers,metrics` and `priority=0` after it where they differ from
that. A key itself is never stored: who has the file cannot ask with it.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import re
import secrets
import time
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger(__name__)

SCOPES = frozenset({"answers", "metrics"})
KEY_LENGTH_MOST = 512
LOOK_SECONDS = 1.0
_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")


class KeysError(Exception):
    """A key file that cannot be used."""


@dataclass(frozen=True)
class Key:
    """Who asks, by name, and what they may."""

    name: str
    digest: str
    scopes: frozenset[str] = SCOPES
    priority: int = 0


ANONYMOUS = Key("anonymous", "")


def digest_of(key: str) -> str:
    """What is stored of a key. Keys are long and random, so a plain hash is enough: there is nothing to guess."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


def new_key(name: str, scopes: frozenset[str] = SCOPES, priority: int = 0) -> tuple[str, str]:
    """A key, to be shown once, and its line for the file."""
    key = f"hf-{secrets.token_urlsafe(32)}"
    return key, f"{name} sha256:{digest_of(key)} scopes={','.join(sorted(scopes))} priority={priority}"


def parse_keys(text: str, where: str) -> tuple[Key, ...]:
    """The keys of a file. One wrong line spoils it all, since half a key file would lock out somebody unseen."""
    keys: list[Key] = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            keys.append(_parse_line(line.split(), f"{where}, line {number}"))
    if len({key.name for key in keys}) < len(keys):
        raise KeysError(f"{where}: two keys have one name.")
    return tuple(keys)


def _parse_line(words: list[str], where: str) -> Key:
    digest = _DIGEST.fullmatch(words[1]) if len(words) > 1 else None
    if digest is None or not _NAME.fullmatch(words[0]):
        # Not the line itself: somebody may have written the key there.
        raise KeysError(f"{where} is not 'name sha256:<64 hex digits>'.")
    scopes, priority = SCOPES, 0
    for word in words[2:]:
        option, _, value = word.partition("=")
        if option == "scopes" and set(value.split(",")) <= SCOPES:
            scopes = frozenset(value.split(","))
        elif option == "priority" and re.fullmatch(r"-?[0-9]{1,3}", value):
            priority = int(value)
        else:
            raise KeysError(f"{where}: {option} is not scopes={','.join(sorted(SCOPES))} or priority=<number>.")
    return Key(words[0], digest[1], scopes, priority)


class KeyFile:
    """The keys of a file, as it is now. What cannot be read leaves the last good keys; no file means no keys."""

    def __init__(self, path: Path, *, look_seconds: float = LOOK_SECONDS) -> None:
        self._path = path
        self._look_seconds = look_seconds
        self._looked = float("-inf")
        self.failed_reloads = 0
        # The stamp first, so that a change in between is seen.
        self._seen: tuple[int, int, int] | None = self._stamp()
        self._keys = parse_keys(path.read_text(encoding="utf-8"), str(path))

    def find(self, offered: str) -> Key | None:
        """Whose key this is. Every stored digest is compared, so that time tells nothing."""
        self._look()
        if len(offered) > KEY_LENGTH_MOST:
            return None
        digest = digest_of(offered)
        found = None
        for key in self._keys:
            if hmac.compare_digest(key.digest, digest):
                found = key
        return found

    def _stamp(self) -> tuple[int, int, int]:
        status = self._path.stat()
        return status.st_mtime_ns, status.st_size, status.st_ino

    def _look(self) -> None:
        now = time.monotonic()
        if now - self._looked < self._look_seconds:
            return
        self._looked = now
        try:
            stamp = self._stamp()
            if stamp == self._seen:
                return
            self._seen = stamp
            self._keys = parse_keys(self._path.read_text(encoding="utf-8"), str(self._path))
            log.info("keys were read again", extra={"keys": len(self._keys)})
        except FileNotFoundError:
            if self._keys or self._seen:
                log.error("the key file is gone, so nobody may ask until it is back", extra={"path": str(self._path)})
            self._keys, self._seen = (), None
        except (OSError, UnicodeDecodeError, KeysError) as error:
            self.failed_reloads += 1
            log.error("the key file cannot be read, the keys before stay in force", extra={"reason": str(error)})
