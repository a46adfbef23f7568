# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""Runs whole texts through a graph with one slot, as calibration, GPTQ and the judge do: no past, nothing kept."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
import onnxruntime


class WholeTexts:
    """A session over a graph that lies in memory and its weights in a folder."""

    def __init__(
        self, graph: onnx.ModelProto, folder: Path, *, layers: int, kv_heads: int, head_size: int, kv: str
    ) -> None:
        self._layers, self._shape = layers, (kv_heads, head_size)
        self._kind: type[Any] = np.int8 if kv == "int8" else np.float32
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        # The weights are found beside the graph, so it has to be a file for a moment.
        path = folder / "whole.onnx"
        path.write_bytes(graph.SerializeToString())
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        finally:
            path.unlink()

    def run(self, outputs: Sequence[str], ids: Sequence[int], *, wanted: Literal["last", "all"]) -> list[Any]:
        length = len(ids)
        feeds: dict[str, Any] = {
            "tokens": np.array([ids], np.int64),
            "wanted": np.arange(0 if wanted == "all" else length - 1, length, dtype=np.int64),
            "past_length.0": np.array([length - 1], np.int32),
            "total_length.0": np.array(length, np.int32),
        }
        kv_heads, head_size = self._shape
        empty = np.zeros((1, kv_heads, length, head_size), self._kind)
        for layer in range(self._layers):
            feeds |= {f"key.{layer}.0": empty, f"value.{layer}.0": empty}
        found: list[Any] = self._session.run(list(outputs), feeds)
        return found
