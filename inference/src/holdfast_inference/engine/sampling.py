# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""Draws tokens. Chance is a function of (seed, index of the token), so that an answer can go on elsewhere as if
it had never moved, and a guess that is checked is drawn as it would have been without the guess."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..words import Sampling

Logits = NDArray[np.float32]
Allowed = NDArray[np.bool_]

_FEW = 1024
"""So many of the likeliest tokens nearly always hold all that top_p keeps; only then is the whole vocabulary sorted."""


_COLD = 1e-4
"""Below this the likeliest token is as good as certain, and is taken."""
_FAR = 23.0
"""Tokens that are less than a ten-billionth as likely as the likeliest are never drawn: nobody would see it,
and most of a large vocabulary need not be looked at."""


@dataclass(frozen=True)
class Drawn:
    id: int
    logprob: float | None
    top: tuple[tuple[int, float], ...]


def chance(seed: int, index: int) -> float:
    """A number in [0, 1) that only these two decide."""
    digest = hashlib.blake2b(f"{seed}:{index}".encode(), digest_size=8).digest()
    return float((int.from_bytes(digest, "little") >> 11) / 2**53)


class Sampler:
    """The choice of one request's tokens, with what its penalties remember."""

    def __init__(
        self, sampling: Sampling, prompt: Sequence[int], vocabulary: int, logprobs: int | None, banned: Iterable[int]
    ) -> None:
        self._sampling = sampling
        self._logprobs = logprobs
        self._vocabulary = vocabulary
        self._banned = np.array(sorted(token for token in set(banned) if 0 <= token < vocabulary), np.int64)
        self._counts: dict[int, int] = {}
        self._seen: Allowed | None = None
        if sampling.repetition_penalty != 1.0:
            self._seen = np.zeros(vocabulary, np.bool_)
            self._seen[np.array(prompt, np.int64)] = True
        self._bias = {token: bias for token, bias in sampling.logit_bias.items() if 0 <= token < vocabulary}

    def count(self, token: int) -> None:
        """Penalties from now on know this token of the answer."""
        self._counts[token] = self._counts.get(token, 0) + 1
        if self._seen is not None:
            self._seen[token] = True

    def draw(self, logits: Logits, index: int, *, allowed: Allowed | None = None, hold_end: bool = False) -> Drawn:
        """The token at `index` of the answer. `hold_end`: not yet one that would end it."""
        values = self._changed(logits, allowed, hold_end)
        if self._sampling.temperature < _COLD:
            token = int(values.argmax())
        else:
            token = self._draw_by_chance(values, chance(self._sampling.seed, index))
        if self._logprobs is None:
            return Drawn(token, None, ())
        # Told of the model as it is, before penalties and temperature.
        likeliest = float(logits.max())
        total = likeliest + float(np.log(np.exp(logits.astype(np.float64) - likeliest).sum()))
        top = _largest(logits, self._logprobs) if self._logprobs else np.empty(0, np.int64)
        return Drawn(
            token,
            float(logits[token]) - total,
            tuple((int(item), float(logits[item]) - total) for item in top),
        )

    def _changed(self, logits: Logits, allowed: Allowed | None, hold_end: bool) -> Logits:
        asked = self._sampling
        penalised = bool(self._counts) and (asked.presence_penalty != 0 or asked.frequency_penalty != 0)
        held = hold_end and self._banned.size > 0
        if not (penalised or self._seen is not None or held or self._bias or allowed is not None):
            return logits
        values = logits.copy()
        if self._seen is not None:
            factor, seen = np.float32(asked.repetition_penalty), values[self._seen]
            values[self._seen] = np.where(seen > 0, seen / factor, seen * factor)
        if penalised:
            tokens = np.array(list(self._counts), np.int64)
            counts = np.array(list(self._counts.values()), np.float32)
            values[tokens] -= np.float32(asked.presence_penalty) + np.float32(asked.frequency_penalty) * counts
        for token, bias in self._bias.items():
            values[token] += np.float32(bias)
        if allowed is not None:
            values[~allowed] = -np.inf
        if held:
            kept = values[self._banned]
            values[self._banned] = -np.inf
            if not np.isfinite(values.max()):
                # Nothing else is allowed: ending early is the lesser evil.
                values[self._banned] = kept
        return values

    def _draw_by_chance(self, values: Logits, place: float) -> int:
        asked = self._sampling
        likeliest = float(values.max())
        least = likeliest - _FAR * asked.temperature
        if asked.min_p > 0:
            least = max(least, likeliest + math.log(asked.min_p) * asked.temperature)
        if asked.top_k and asked.top_k < self._vocabulary:
            least = max(least, float(np.partition(values, -asked.top_k)[-asked.top_k]))
        tokens = np.flatnonzero(values >= least)
        odds = np.exp((values[tokens] - np.float32(likeliest)) / np.float32(asked.temperature)).astype(np.float64)
        if asked.top_p < 1:
            odds = _nucleus(odds, asked.top_p)
        sums = np.cumsum(odds)
        drawn = int(np.searchsorted(sums, place * sums[-1], side="right"))
        if drawn == len(tokens):
            # The last sum was rounded up to the place itself.
            drawn = int(np.flatnonzero(odds)[-1])
        return int(tokens[drawn])


def _largest(values: NDArray[np.floating], count: int) -> NDArray[np.int64]:
    """The places of the largest, the largest first and of equals the first."""
    if count >= values.size:
        return np.argsort(-values, kind="stable")
    few = np.argpartition(-values, count - 1)[:count]
    least = values[few].min()
    sure = np.flatnonzero(values > least)
    equals = np.flatnonzero(values == least)[: count - sure.size]
    chosen = np.concatenate([sure, equals])
    ordered: NDArray[np.int64] = chosen[np.lexsort((chosen, -values[chosen]))]
    return ordered


def _nucleus(odds: NDArray[np.float64], share: float) -> NDArray[np.float64]:
    """Keeps the likeliest tokens that together reach the share, and at least one."""
    wanted = share * odds.sum()
    for count in (_FEW, 16 * _FEW, odds.size):
        order = _largest(odds, count)
        if odds[order].sum() >= wanted:
            break
    sums = np.cumsum(odds[order])
    kept = order[: int(np.searchsorted(sums, wanted, side="left")) + 1]
    result = np.zeros_like(odds)
    result[kept] = odds[kept]
    return result
