# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""Rounds weights so that the products come out right on real inputs, not each weight by itself (GPTQ).

Column by column: what rounding one changes in the product is made up for by those that are not rounded yet, as
far as the inputs go together. How they do is learned from texts, run through the network in float32.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from ..model_folder import Card
from .quantize import Floats, Quantized, assemble, find_scales
from .whole import WholeTexts

_DAMPING = 0.01
_AT_ONCE = 1 << 30
"""Bytes of sums that are held at once; what is beyond takes another pass over the texts."""
_INPUTS = {"qkv": "norm", "output": "attended", "gate_up": "mlp_norm", "down": "mlp"}


def rounded(weights: Floats, together: Floats, *, block: int) -> Quantized:
    """`weights` [outputs, inputs] in 4 bits; `together` [inputs, inputs] is the sum of the inputs' outer products."""
    inputs = weights.shape[1]
    if inputs % block:
        raise ValueError(f"{inputs} inputs do not divide into blocks of {block}")
    spread = together.astype(np.float64)
    never = np.diag(spread) <= 0
    spread[never, never] = 1.0
    spread[np.diag_indices(inputs)] += _DAMPING * float(np.diag(spread).mean())
    # Row j: how much the columns behind j have to change for each unit that column j was changed.
    make_up = np.linalg.cholesky(np.linalg.inv(spread)).T.astype(np.float32)
    left = weights.astype(np.float32, copy=True)
    numbers = np.zeros(weights.shape, np.float32)
    scales = np.zeros((len(weights), inputs // block), np.float32)
    for begin in range(0, inputs, block):
        end = begin + block
        scale = find_scales(left[:, begin:end])
        scales[:, begin // block] = scale
        errors = np.zeros((len(weights), block), np.float32)
        for column in range(begin, end):
            number = np.clip(np.rint(left[:, column] / scale), -8, 7)
            numbers[:, column] = number
            error = (left[:, column] - number * scale) / make_up[column, column]
            left[:, column:end] -= np.outer(error, make_up[column, column:end])
            errors[:, column - begin] = error
        left[:, end:] -= errors @ make_up[begin:end, end:]
    return assemble(numbers, scales, bits=4, block=block)


class Inputs:
    """What the products of a network had as inputs, over some texts."""

    def __init__(self, folder: Path, card: Card, texts: Sequence[Sequence[int]]) -> None:
        self._card, self._texts = card, [list(text) for text in texts if text]
        self._sums: dict[str, Floats] = {}
        graph = onnx.load(str(folder / card.graphs[1]), load_external_data=False)
        for layer in range(card.layers):
            for value in _INPUTS.values():
                name = f"layer.{layer}.{value}"
                graph.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
        self._network = WholeTexts(
            graph, folder, layers=card.layers, kv_heads=card.kv_heads, head_size=card.head_size, kv=card.kv
        )

    def together(self, product: str) -> Floats:
        """The sum of the outer products of a product's inputs (`layer.3.down`). Ask for the layers in their order."""
        _, layer, part = product.split(".")
        name = f"layer.{layer}.{_INPUTS[part]}"
        if name not in self._sums:
            self._sums = self._learn(int(layer))
        return self._sums[name]

    def _learn(self, first: int) -> dict[str, Floats]:
        card = self._card
        widths = {"norm": card.hidden, "attended": card.heads * card.head_size}
        widths |= {"mlp_norm": card.hidden, "mlp": card.intermediate}
        each = 4 * sum(width * width for width in widths.values())
        layers = range(first, min(card.layers, first + max(1, _AT_ONCE // each)))
        sums = {
            f"layer.{layer}.{value}": np.zeros((width, width), np.float32)
            for layer in layers
            for value, width in widths.items()
        }
        for text in self._texts:
            for name, values in zip(sums, self._network.run(list(sums), text, wanted="last"), strict=True):
                rows: NDArray[np.float32] = values[0]
                sums[name] += rows.T @ rows
        return sums
