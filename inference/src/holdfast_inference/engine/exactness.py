# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""Finds the row quantum: to a multiple of how many rows a step must be padded so that a row's logits do not
depend on its company. Kernels differ by machine, so it is measured where the model is loaded, on the model itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from .runner import Logits, Rows, Runner

QUANTA = (1, 2, 4, 8)
_LENGTH = 24
_CUTS = ((24,), (7, 1, 11, 5), (1, 2, 3, 18), (23, 1), (19, 2, 3))
_MOST_WANTED = 5
_FAR = 12
_FAR_CUTS = ((12,), (5, 1, 6), (2, 10))

Found = tuple[int, Logits]
"""A position and its logits."""


def find_quantum(runner: Runner) -> int | None:
    """The smallest quantum at which all shapes agree bit for bit, set on the runner; None, and 1 there, if none
    does. The slots are empty afterwards."""
    longest = min(runner.plan.chunk, runner.plan.context)
    random = np.random.default_rng(20260101)
    ids = [int(item) for item in random.integers(0, runner.card.vocabulary, longest)]
    found = None
    for quantum in QUANTA:
        runner.quantum = quantum
        alone = dict(_in_chunks(runner, ids[:_LENGTH], [1] * _LENGTH))
        near = all(np.array_equal(alone[position], logits) for position, logits in _other_shapes(runner, ids))
        if near and _equal_far_away(runner, ids[:_FAR]):
            found = quantum
            break
    runner.quantum = found or 1
    _empty(runner)
    return found


def _empty(runner: Runner) -> None:
    for slot in range(runner.plan.slots):
        runner.keep(slot, 0)


def _in_chunks(runner: Runner, ids: Sequence[int], cuts: Sequence[int]) -> Iterator[Found]:
    _empty(runner)
    begin = 0
    for cut in cuts:
        chunk = ids[begin : begin + cut]
        if chunk:
            yield from _compute(runner, {0: chunk})
        begin += cut


def _equal_far_away(runner: Runner, ids: Sequence[int]) -> bool:
    """The same at the end of the context: attention over a long past may be cut into other pieces than over a
    short one."""
    far = runner.plan.context - len(ids)
    runner.pretend(0, far, seed=1)
    alone = [dict(_compute(runner, {0: [token]})) for token in ids]
    wanted = {position: logits for found in alone for position, logits in found.items()}
    for cuts in _FAR_CUTS:
        runner.keep(0, far)
        begin = 0
        for cut in cuts:
            found = _compute(runner, {0: ids[begin : begin + cut]})
            begin += cut
            if not all(np.array_equal(wanted[position], logits) for position, logits in found):
                return False
    return True


def _compute(runner: Runner, chunks: dict[int, Sequence[int]]) -> list[Found]:
    """One step; the last few positions of each slot with their logits."""
    rows = [Rows(slot, chunk, min(len(chunk), _MOST_WANTED)) for slot, chunk in chunks.items()]
    found = []
    for item, logits in zip(rows, runner.step(rows), strict=True):
        first = runner.lengths[item.slot] - item.wanted
        found += [(first + offset, row.copy()) for offset, row in enumerate(logits)]
    return found


def _other_shapes(runner: Runner, ids: Sequence[int]) -> Iterator[Found]:
    """What must agree with one token at a time: chunks, the widest chunk there is, guesses that are taken back,
    neighbours."""
    head = ids[:_LENGTH]
    for cuts in _CUTS:
        yield from _in_chunks(runner, head, cuts)
    # A wide chunk goes another way through some kernels; what it wrote to KV shows in the token after it.
    _empty(runner)
    runner.step([Rows(0, list(ids))])
    runner.keep(0, min(len(ids), len(head)) - 1)
    yield from _compute(runner, {0: head[-1:]})
    runner.keep(0, len(head) - 8)
    runner.step([Rows(0, [head[-8], 1, 2, 3], 4)])
    runner.keep(0, len(head) - 7)
    yield from _compute(runner, {0: head[-7:-4]})
    slots = range(runner.plan.slots)
    if len(slots) == 1:
        return
    _empty(runner)
    for slot in slots:
        runner.step([Rows(slot, head[: 9 + slot % 7])])
    yield from _compute(runner, {slot: head[9 + slot % 7 :][:1] for slot in slots})
    yield from _compute(runner, {slot: head[10 + slot % 7 :][: 1 + slot % 4] for slot in slots})
    last = slots[-1]
    yield from _compute(runner, {last: head[runner.lengths[last] :][:1]})
