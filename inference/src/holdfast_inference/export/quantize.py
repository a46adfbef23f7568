# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""Weights in blocks of whole numbers with one scale each, as MatMulNBits reads them (zero at the middle of the range).

`rtn` rounds to the nearest. `hqq` looks for the scale with the half-quadratic method: the error is split into a sparse
part, which outliers may keep, and the rest, for which the best scale has a closed form; it needs no data.
`gptq` does need data: see gptq.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]
Method = Literal["rtn", "hqq", "gptq"]

_ROUNDS = 10
_NORM = 0.7
_FIRST_WEIGHT = 20.0
_GROWTH = 1.2
_AT_A_TIME = 128 * 1024


@dataclass(frozen=True)
class Quantized:
    """`packed` [rows, blocks, bytes of a block], `scales` [rows, blocks]."""

    packed: Bytes
    scales: Floats
    bits: int
    block: int
    columns: int

    def widened(self) -> Quantized:
        """The same numbers, each in 8 bits."""
        if self.bits == 8:
            return self
        numbers = np.stack([self.packed & 15, self.packed >> 4], axis=-1).reshape(*self.packed.shape[:2], self.block)
        return Quantized(numbers + np.uint8(128 - 8), self.scales, 8, self.block, self.columns)

    def restored(self) -> Floats:
        """The weights that the numbers stand for."""
        values = self.packed
        if self.bits == 4:
            values = np.stack([self.packed & 15, self.packed >> 4], axis=-1).reshape(*self.packed.shape[:2], self.block)
        zero = np.float32(2 ** (self.bits - 1))
        restored = (values.astype(np.float32) - zero) * self.scales[:, :, None]
        return np.ascontiguousarray(restored.reshape(len(values), -1)[:, : self.columns])


def _blocks(weights: Floats, block: int) -> Floats:
    rows, columns = weights.shape
    missing = -columns % block
    padded = np.pad(weights, ((0, 0), (0, missing))) if missing else weights
    return padded.reshape(rows, -1, block)


def _round(blocks: Floats, scales: Floats, bits: int) -> Floats:
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    rounded: Floats = np.clip(np.rint(blocks / scales[:, :, None]), low, high)
    return rounded


def _first_scales(blocks: Floats, bits: int) -> Floats:
    """At 4 bits the largest weight takes the one level that has no opposite (-8); at 8 bits the range is even."""
    if bits == 4:
        at = np.abs(blocks).argmax(axis=2)
        largest = np.take_along_axis(blocks, at[:, :, None], axis=2)[:, :, 0]
        scales = largest / np.float32(-8)
    else:
        scales = np.abs(blocks).max(axis=2) / np.float32(127)
    return np.where(np.abs(scales) < 1e-30, np.float32(1), scales).astype(np.float32)


def _loss(blocks: Floats, scales: Floats, bits: int) -> Floats:
    error = np.abs(blocks - _round(blocks, scales, bits) * scales[:, :, None])
    loss: Floats = (error**_NORM).sum(axis=2)
    return loss


def _better_scales(blocks: Floats, scales: Floats, bits: int) -> Floats:
    """The best scales seen by the sparse loss, never worse than the first."""
    best, best_loss = scales, _loss(blocks, scales, bits)
    weight = np.float32(_FIRST_WEIGHT)
    size = np.maximum(np.abs(blocks).max(axis=2, keepdims=True), np.float32(1e-30))
    unit, current = blocks / size, scales / size[:, :, 0]
    for _ in range(_ROUNDS):
        whole = _round(unit, current, bits)
        error = unit - whole * current[:, :, None]
        magnitude = np.maximum(np.abs(error), np.float32(1e-8))
        kept = np.sign(error) * np.maximum(magnitude - magnitude ** np.float32(_NORM - 1) / weight, 0)
        square = (whole * whole).sum(axis=2)
        current = np.where(square > 0, ((unit - kept) * whole).sum(axis=2) / np.maximum(square, 1), current)
        current = np.where(np.abs(current) < 1e-6, scales / size[:, :, 0], current).astype(np.float32)
        candidate = (current * size[:, :, 0]).astype(np.float32)
        loss = _loss(blocks, candidate, bits)
        better = loss < best_loss
        best, best_loss = np.where(better, candidate, best), np.where(better, loss, best_loss)
        weight *= np.float32(_GROWTH)
    return best.astype(np.float32)


def quantize(weights: Floats, *, bits: int, block: int, method: Method = "rtn") -> Quantized:
    """`weights` [outputs, inputs], in blocks along the inputs; some rows at a time, so that they stay in the cache."""
    step = max(1, _AT_A_TIME // weights.shape[1])
    parts = [_quantize(weights[begin : begin + step], bits, block, method) for begin in range(0, len(weights), step)]
    packed, scales = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Quantized(packed, scales, bits, block, weights.shape[1])


def _quantize(weights: Floats, bits: int, block: int, method: Method) -> tuple[Bytes, Floats]:
    blocks = _blocks(weights, block)
    scales = _first_scales(blocks, bits)
    if method == "hqq":
        scales = _better_scales(blocks, scales, bits)
    return _packed(_round(blocks, scales, bits), bits), scales


def _packed(numbers: Floats, bits: int) -> Bytes:
    values: Bytes = (numbers + 2 ** (bits - 1)).astype(np.uint8)
    if bits == 4:
        values = values[:, :, 0::2] | (values[:, :, 1::2] << np.uint8(4))
    return values


def find_scales(weights: Floats) -> Floats:
    """For one block of each row, in 4 bits."""
    blocks = weights[:, None, :]
    scales: Floats = _better_scales(blocks, _first_scales(blocks, 4), 4)[:, 0]
    return scales


def assemble(numbers: Floats, scales: Floats, *, bits: int, block: int) -> Quantized:
    """Of numbers that were rounded already."""
    packed = _packed(_blocks(numbers, block), bits)
    return Quantized(np.ascontiguousarray(packed), scales, bits, block, numbers.shape[1])
