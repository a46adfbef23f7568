# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""Remembers the KV of beginnings that were computed, in blocks, so that the next prompt that begins the same
begins later.

A block is known by its own tokens and all before it. Blocks of which nothing was used for the longest time go
first, pinned ones last; since a chain is always touched from its end to its beginning, a block never goes
before those that follow it.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK = 32

Save = Callable[[int, int], NDArray[Any]]
"""A copy of the KV of some positions, from the first to before the last."""


@dataclass
class _Kept:
    values: NDArray[Any]
    pinned: bool


def _names(ids: Sequence[int]) -> list[bytes]:
    """The names of the whole blocks of a text, each made of the one before and its own tokens."""
    names: list[bytes] = []
    before = b""
    for begin in range(0, len(ids) - BLOCK + 1, BLOCK):
        own = np.array(ids[begin : begin + BLOCK], np.int64).tobytes()
        before = hashlib.blake2b(before + own, digest_size=16).digest()
        names.append(before)
    return names


class Prefixes:
    """Not for two threads at a time."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.on = limit > 0
        self._kept: OrderedDict[bytes, _Kept] = OrderedDict()
        self.size = 0
        self.pinned_size = 0
        self.queries = 0
        self.hits = 0
        self.tokens_saved = 0

    def find(self, ids: Sequence[int]) -> list[NDArray[Any]]:
        """The known blocks that these ids begin with, in order, not counting the last token, which has to be
        computed."""
        self.queries += 1
        found = []
        for name in _names(ids[:-1]):
            if name not in self._kept:
                break
            found.append(name)
        self._touch(found)
        self.hits += bool(found)
        self.tokens_saved += len(found) * BLOCK
        return [self._kept[name].values for name in found]

    def known(self, ids: Sequence[int]) -> int:
        """How many tokens `find` would save, without counting it as asked."""
        names = _names(ids[:-1])
        return next((index for index, name in enumerate(names) if name not in self._kept), len(names)) * BLOCK

    def add(self, ids: Sequence[int], save: Save, pin: int = 0) -> None:
        """Keeps the whole blocks of these ids that are not known, each copied by `save` in its turn: a text may be many
        times what there is room for. The blocks within the first `pin` tokens stay when others go. Pins take half of
        the room at most: beyond that, those that nobody used for the longest time are pinned no more."""
        names = _names(ids) if self.on else []
        self._touch(names)
        for index, name in enumerate(names):
            begin = index * BLOCK
            if name not in self._kept:
                block = save(begin, begin + BLOCK)
                if not self._make_room(block.nbytes, names):
                    break
                self._kept[name] = _Kept(block, pinned=False)
                self.size += block.nbytes
            kept = self._kept.get(name)
            if kept is None:
                break
            if begin + BLOCK <= pin and not kept.pinned and self._make_pin(kept.values.nbytes, names):
                kept.pinned = True
                self.pinned_size += kept.values.nbytes
        self._touch(names)

    def _touch(self, names: Sequence[bytes]) -> None:
        for name in reversed(names):
            if name in self._kept:
                self._kept.move_to_end(name)

    def _make_pin(self, wanted: int, own: Sequence[bytes]) -> bool:
        spared = set(own)
        while self.pinned_size + wanted > self._limit // 2:
            candidates = (kept for name, kept in self._kept.items() if kept.pinned and name not in spared)
            oldest = next(candidates, None)
            if oldest is None:
                return False
            oldest.pinned = False
            self.pinned_size -= oldest.values.nbytes
        return True

    def _make_room(self, wanted: int, own: Sequence[bytes]) -> bool:
        if wanted > self._limit:
            return False
        spared = set(own)
        while self.size + wanted > self._limit:
            candidates = (name for name, kept in self._kept.items() if not kept.pinned and name not in spared)
            oldest = next(candidates, None)
            if oldest is None:
                return False
            self.size -= self._kept.pop(oldest).values.nbytes
        return True
