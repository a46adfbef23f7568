# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""A change of the source, and the worked example of one: channels of the MLP that matter least are left out.

Whole channels, not single weights: a zero in a block of 4 bits takes the same room and the same time as any other
number, while a channel that is left out is neither stored nor computed. A channel is a row of gate and of up and the
column of down that carries it back; its magnitude is the product of their lengths, since it is the product of the
three that reaches the stream. No data is asked. The network forgets what those channels knew: export tells how much,
and a model of which many are left out wants to be taught again (`teach`).
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from . import Unknown
from .quantize import Floats, Quantized

if TYPE_CHECKING:
    from .source import Source, SourceTensors

Change = Callable[["Source"], "Source"]
"""What is done to a source before anything is rounded. It may change geometry and tensors, which must go on fitting
each other, and says in `told` what it did: that goes into the report."""

_OF_THE_MLP = re.compile(r"model\.layers\.(\d+)\.mlp\.(gate|up|down)_proj\.(weight|bias)")


def kept_channels(gate: Floats, up: Floats, down: Floats, count: int) -> NDArray[np.int64]:
    """The `count` channels of the largest magnitude, in their order. `gate` and `up` are [channels, inputs], `down`
    [outputs, channels]."""
    # In float64, and of equals the first: the same channels on every machine.
    lengths = [np.sqrt((part.astype(np.float64) ** 2).sum(axis=axis)) for part, axis in ((gate, 1), (up, 1), (down, 0))]
    magnitude = lengths[0] * lengths[1] * lengths[2]
    kept: NDArray[np.int64] = np.sort(np.argsort(-magnitude, kind="stable")[:count])
    return kept


def prune_mlp(share: float, *, block: int) -> Change:
    """Leaves out about this share of the channels of each layer; what is left fills whole blocks, so that no room is
    taken by padding."""
    if not 0 < share < 1:
        raise Unknown(f"A share of {share:g} cannot be left out; more than 0 and less than 1 can.")

    def change(source: Source) -> Source:
        geometry = source.geometry
        before = geometry.intermediate
        after = max(block, round(before * (1 - share) / block) * block)
        if after >= before:
            raise Unknown(f"{share:g} of {before} channels is less than a block of {block}; leave out more, or none.")
        told = {"share": share, "intermediate": {"before": before, "after": after}}
        told["parameters_left_out"] = geometry.layers * (before - after) * 3 * geometry.hidden
        return dataclasses.replace(
            source,
            geometry=dataclasses.replace(geometry, intermediate=after),
            tensors=_Pruned(source.tensors, before, after),
            told={**source.told, "pruned": told},
        )

    return change


class _Pruned:
    """A source's tensors without the channels that are left out."""

    def __init__(self, tensors: SourceTensors, before: int, after: int) -> None:
        self._tensors, self._before, self._after = tensors, before, after
        self._kept: dict[str, NDArray[np.int64]] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._tensors

    def get(self, name: str) -> Floats:
        found, part = self._tensors.get(name), _OF_THE_MLP.fullmatch(name)
        if part is None or (part[2] == "down" and part[3] == "bias"):
            return found
        kept = self._channels(part[1])
        return np.ascontiguousarray(found[:, kept] if part[2] == "down" else found[kept])

    def blocks(self, name: str) -> Quantized | None:
        found, part = self._tensors.blocks(name), _OF_THE_MLP.fullmatch(name)
        if found is None or part is None:
            return found
        if part[2] == "down":
            # Its blocks lie across the channels, so they have to be made anew.
            return None
        kept = self._channels(part[1])
        return dataclasses.replace(found, packed=found.packed[kept], scales=found.scales[kept])

    def rounded_already(self, name: str) -> bool:
        return self._tensors.rounded_already(name)

    def ignore(self, name: str) -> None:
        self._tensors.ignore(name)

    def left(self) -> list[str]:
        return self._tensors.left()

    def _channels(self, layer: str) -> NDArray[np.int64]:
        if layer not in self._kept:
            names = [f"model.layers.{layer}.mlp.{part}_proj.weight" for part in ("gate", "up", "down")]
            gate, up, down = (self._tensors.get(name) for name in names)
            if not len(gate) == len(up) == down.shape[-1] == self._before:
                raise Unknown(
                    f"{names[0]}, up and down have {len(gate)}, {len(up)} and {down.shape[-1]} channels where "
                    f"config.json asks for {self._before}."
                )
            self._kept[layer] = kept_channels(gate, up, down, self._after)
        return self._kept[layer]
