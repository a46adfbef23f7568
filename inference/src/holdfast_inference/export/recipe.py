# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""What an export keeps in which precision."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from . import Unknown
from .quantize import Method

BLOCKS = (16, 32, 64, 128, 256)


@dataclass(frozen=True)
class Recipe:
    """The default is what was measured to be the best trade on the CPUs of the edge: blocks of 64 in 4 bits,
    head and embedding in 8 bits, and those layers of the MLP in 8 bits that suffer most from 4."""

    weights: Literal["int4", "int8", "f32"] = "int4"
    block: int = 64
    method: Method = "hqq"
    mixed: bool = True
    kv: Literal["int8", "f32"] = "int8"
    accuracy_level: int = 4
    """4 rounds activations to 8 bits and is what serves; 1 keeps them, for comparisons with a reference."""
    slots: tuple[int, ...] = (1, 2, 4, 8)

    def __post_init__(self) -> None:
        if self.block not in BLOCKS:
            raise Unknown(f"Blocks of {self.block} are not known here; {', '.join(map(str, BLOCKS))} are.")
        if not self.slots or any(not 1 <= slots <= 64 for slots in self.slots):
            raise Unknown("The numbers of slots must be from 1 to 64.")

    def bits(self) -> int:
        return {"int4": 4, "int8": 8, "f32": 32}[self.weights]

    def down_bits(self, layer: int, layers: int) -> int:
        """The MLP's way back: the first and the last eighth and each third layer between are kept in 8 bits."""
        if self.bits() != 4 or not self.mixed:
            return self.bits()
        outer = layer < layers // 8 or layer >= 7 * layers // 8
        return 8 if outer or (layer - layers // 8) % 3 == 2 else 4

    def head_bits(self) -> int:
        return 32 if self.weights == "f32" else 8
