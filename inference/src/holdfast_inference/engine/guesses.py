# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""Guesses the next tokens from the text so far: what followed the last few tokens the last time they were there.

A guess is computed beside the token that it would follow and kept only if that token's logits lead to it, so it
changes how long an answer takes and nothing else. How many are worth their rows, the module costs says: by how often
they came true lately, and by what rows cost on this machine.
"""

from __future__ import annotations

from collections.abc import Sequence

SIZES = (3, 2)
MOST = 4
_AT_FIRST = 0.5
"""How likely a guess is to come true where nothing is known yet."""
_WEIGHT = 0.2
"""Of the last guess, against all before it."""
_FORGOTTEN = 0.01
"""With each token: text changes, and who never guesses would never learn that guesses come true again."""


def _key(ids: Sequence[int]) -> int:
    """A few tokens as one number, which takes a fraction of a tuple's memory; prompts are long."""
    key = len(ids)
    for token in ids:
        key = key << 24 | token
    return key


class Guesser:
    """The memory of one request's text."""

    def __init__(self) -> None:
        self._ids: list[int] = []
        self._after: dict[int, int] = {}
        self.chance = _AT_FIRST
        """How likely the next guess is to come true."""

    def add(self, ids: Sequence[int]) -> None:
        """Tokens that now belong to the text."""
        for token in ids:
            self._ids.append(token)
            end = len(self._ids)
            # What follows the tokens just before this one is this one.
            for size in SIZES:
                if end > size:
                    self._after[_key(self._ids[end - 1 - size : end - 1])] = end - 1
            self.chance += (_AT_FIRST - self.chance) * _FORGOTTEN

    def guess(self, most: int, *, free: int = 0) -> list[int]:
        """At most `most` tokens. Two tokens are a weak sign: good enough only for guesses that cost nothing."""
        for size, length in zip(SIZES, (most, min(most, free)), strict=True):
            place = self._after.get(_key(self._ids[-size:]))
            if place is not None and length > 0:
                # Where so much did not follow yet, the text goes round: what followed follows again.
                turn = len(self._ids) - place
                return [self._ids[place + step % turn] for step in range(length)]
        return []

    def learn(self, guessed: int, true: int) -> None:
        """How many of a round's guesses came true; those behind the first that did not tell nothing."""
        for _ in range(true):
            self.chance += (1 - self.chance) * _WEIGHT
        if true < guessed:
            self.chance -= self.chance * _WEIGHT
