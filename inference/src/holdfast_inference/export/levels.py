# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""Which products must not round what goes into them.

At accuracy level 4 a product rounds its input to 8 bits, which is what makes it fast; in some models a few products
then change which token is likeliest. Each is rounded alone, on what the model will be asked, and those that change the
most are raised to level 1, as few as it takes until the likeliest token is the same as often as is wanted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from .families import Geometry
from .graph import RAISED
from .whole import WholeTexts

MOST_SHARE = 0.25
"""Of the products: a raised one takes twice the time, so a model that needs more wants another recipe."""
MOST_TEXTS, LONGEST = 16, 128

Logits = NDArray[np.float32]


@dataclass(frozen=True)
class Raised:
    """Names of the products, and how often the likeliest token is that of products that round nothing."""

    names: tuple[str, ...] = ()
    before: float = 1.0
    after: float = 1.0


class _Trial:
    """The graph with one slot, with its products at other levels each time."""

    def __init__(
        self, graph: onnx.ModelProto, folder: Path, geometry: Geometry, kv: str, texts: Sequence[Sequence[int]]
    ) -> None:
        self._graph, self._folder, self._geometry, self._kv = graph, folder, geometry, kv
        self._texts = [list(text)[:LONGEST] for text in list(texts)[:MOST_TEXTS] if text]
        self._levels = {
            node.name: attribute
            for node in self._graph.graph.node
            for attribute in node.attribute
            if node.op_type == "MatMulNBits" and attribute.name == "accuracy_level"
        }
        self._served = {name: attribute.i for name, attribute in self._levels.items()}

    @property
    def names(self) -> list[str]:
        """All products that round."""
        return [name for name, level in self._served.items() if level != RAISED]

    def logits(self, raised: Sequence[str]) -> Logits:
        """Of all positions of all texts."""
        for name, attribute in self._levels.items():
            attribute.i = RAISED if name in raised else self._served[name]
        shape = self._geometry
        network = WholeTexts(
            self._graph,
            self._folder,
            layers=shape.layers,
            kv_heads=shape.kv_heads,
            head_size=shape.head_size,
            kv=self._kv,
        )
        return np.concatenate([network.run(["logits"], text, wanted="all")[0][0] for text in self._texts])


def find_raised(
    graph: onnx.ModelProto,
    folder: Path,
    geometry: Geometry,
    kv: str,
    texts: Sequence[Sequence[int]],
    agreement: float,
) -> Raised:
    """`graph` has one slot and its weights lie in `folder`."""
    trial = _Trial(graph, folder, geometry, kv, texts)
    names = trial.names
    exact = trial.logits(names)
    before = _same(exact, trial.logits(()))
    if before >= agreement or not names:
        return Raised((), before, before)
    harm = {name: _harm(exact, trial.logits([other for other in names if other != name])) for name in names}
    worst = sorted(names, key=lambda name: harm[name], reverse=True)[: max(1, int(len(names) * MOST_SHARE))]
    # As many of the worst as it takes; agreement does not always rise with each, so the best that was seen stands.
    best = Raised((), before, before)
    count = 1
    while best.after < agreement and count <= len(worst):
        after = _same(exact, trial.logits(worst[:count]))
        if after > best.after:
            best = Raised(tuple(sorted(worst[:count])), before, after)
        count = len(worst) if count < len(worst) < 2 * count else 2 * count
    return best


def _same(exact: Logits, other: Logits) -> float:
    return float((exact.argmax(axis=1) == other.argmax(axis=1)).mean())


def _harm(exact: Logits, other: Logits) -> tuple[float, float]:
    """How often another token is the likeliest, and of equals, how far the logits are apart."""
    return 1.0 - _same(exact, other), float(np.square(exact - other).mean())
