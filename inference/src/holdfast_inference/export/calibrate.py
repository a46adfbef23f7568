# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""Finds the scales of int8 KV: runs texts through the network with KV in float32 and keeps the largest value of
each channel."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx

from . import Unknown
from .families import Geometry
from .quantize import Floats
from .source import SourceTensors
from .whole import WholeTexts

CARRIED = "model.layers.{layer}.self_attn.{part}_int8_scale"
"""What a source may hold, for keys (k) and values (v): [kv_heads, head_size], the value of one step of int8. An export
that measures scales depends on the machine's kernels in the last digits; one that is given them does not."""
LONGEST = 512
"""Tokens of a text that are looked at."""

# Several scripts, digits, code and a dialogue: what the keys and values of a general model have to stand for.
# Whoever knows what a site will ask gives texts of their own.
DEFAULT_TEXTS = (
    "The night shift begins at ten. Before that, somebody walks the aisles, counts what is left on the "
    "shelves and writes "
    "the numbers down: 12 lamps, 7 chairs, 340 boxes of screws. What is missing comes with the lorry in the morning.",
    "User: When do you open on Saturday?\nAssistant: On Saturday we open at 8:30 and close at 20:00. Is "
    "there anything else "
    "that I can help you with?\nUser: No, thank you!",
    'def area(width: float, height: float) -> float:\n    """Of a rectangle."""\n    return width * height\n\n'
    'print({"area": area(2.5, 4), "unit": "m²", "ok": True, "none": None})\n',
    "Die Maschine läuft seit drei Tagen ohne Störung; der Druck beträgt 4,2 bar. Où est la gare, s'il vous plaît ? "
    "¿Cuánto cuesta el billete de ida y vuelta? Il treno parte alle nove e un quarto.",
    "今天的天气很好,我们去公园散步吧。このりんごは三つで五百円です。"
    "오늘 회의는 두 시에 시작합니다. Сколько стоит этот билет? كم الساعة الآن؟",
    "1. Open the valve.\n2. Wait until the gauge shows 0.8.\n3. Close it again - slowly, by a quarter "
    "turn each minute.\n\n"
    "| part | count |\n|---|---|\n| A-100 | 25 |\n| B-7 | 1,024 |\n",
)


def largest_values(
    graph: onnx.ModelProto, folder: Path, geometry: Geometry, texts: Sequence[Sequence[int]]
) -> list[tuple[Floats, Floats]]:
    """The largest magnitude of each channel [1, kv_heads, 1, head_size] of keys and values, a layer each.
    `graph` has one slot and KV in float32; its weights lie in `folder`."""
    texts_through = WholeTexts(
        graph, folder, layers=geometry.layers, kv_heads=geometry.kv_heads, head_size=geometry.head_size, kv="f32"
    )
    names = [f"new_{word}.{layer}.0" for layer in range(geometry.layers) for word in ("key", "value")]
    largest = [np.zeros((1, geometry.kv_heads, 1, geometry.head_size), np.float32) for _ in names]
    for text in texts:
        ids = list(text)[: min(LONGEST, geometry.context)]
        if not ids:
            continue
        for seen, values in zip(largest, texts_through.run(names, ids, wanted="last"), strict=True):
            np.maximum(seen, np.abs(values[:, :, : len(ids)]).max(axis=2, keepdims=True), out=seen)
    return list(zip(largest[0::2], largest[1::2], strict=True))


def scales_of(largest: Sequence[tuple[Floats, Floats]], margin: float) -> list[tuple[Floats, Floats]]:
    """A channel that was always zero in these texts may not be so in others: it gets a hundredth of the layer's
    largest."""

    def scale(values: Floats) -> Floats:
        floor = max(float(values.max()) * 0.01, 1e-6)
        return (np.maximum(values, np.float32(floor)) * np.float32(margin / 127)).astype(np.float32)

    return [(scale(keys), scale(values)) for keys, values in largest]


def carried_scales(tensors: SourceTensors, geometry: Geometry) -> list[tuple[Floats, Floats]] | None:
    """The scales that the source holds; None where it holds none."""
    if CARRIED.format(layer=0, part="k") not in tensors:
        return None
    shape = geometry.kv_heads, geometry.head_size
    found = []
    for layer in range(geometry.layers):
        for part in ("k", "v"):
            name = CARRIED.format(layer=layer, part=part)
            scales = tensors.get(name)
            if scales.shape != shape or not (np.isfinite(scales).all() and (scales > 0).all()):
                raise Unknown(f"{name} is not {list(shape)} numbers above zero.")
            found.append(np.ascontiguousarray(scales.reshape(1, shape[0], 1, shape[1])))
    return list(zip(found[0::2], found[1::2], strict=True))
