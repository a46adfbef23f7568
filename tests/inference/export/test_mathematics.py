# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Exported graphs compute what their family's definition says: compared with float64, to 1e-4."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from holdfast_inference.export.exporter import Order, export
from holdfast_inference.export.quantize import quantize
from holdfast_inference.export.recipe import Recipe
from holdfast_inference.model_folder import Card
from numpy.typing import NDArray

from tests.inference import reference, tiny_model

LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 64,
}
SHAPES: dict[str, dict[str, Any]] = {
    "llama": {"family": "llama"},
    "llama, own head": {"family": "llama", "tie_word_embeddings": False},
    "llama 3.1's rotary": {"family": "llama", "rope_scaling": LLAMA3},
    "linear rotary": {"family": "llama", "rope_scaling": {"rope_type": "linear", "factor": 2.0}},
    "heads wider than hidden": {"family": "llama", "head_dim": 64},
    "mistral with a window": {"family": "mistral", "sliding_window": 7},
    "qwen2": {"family": "qwen2"},
    "qwen3": {"family": "qwen3"},
    "gemma2": {"family": "gemma2"},
    "gemma2 without caps": {"family": "gemma2", "attn_logit_softcapping": None, "final_logit_softcapping": None},
    "gemma3": {"family": "gemma3"},
    "gemma3 with linear rotary": {"family": "gemma3", "rope_scaling": {"rope_type": "linear", "factor": 8.0}},
}
IDS = [0, 17, 300, 45, 45, 9, 123, 260, 77, 31, 200, 5, 399, 64, 18, 90]


def run_whole(folder: Path, card: Card, ids: list[int]) -> NDArray[np.float32]:
    """The logits of all positions of one prompt, by the graph with one slot."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(folder / card.graphs[1]), options, providers=["CPUExecutionProvider"])
    feeds: dict[str, Any] = {
        "tokens": np.array([ids], np.int64),
        "wanted": np.arange(len(ids), dtype=np.int64),
        "past_length.0": np.array([len(ids) - 1], np.int32),
        "total_length.0": np.array(len(ids), np.int32),
    }
    kind: type[Any] = np.int8 if card.kv == "int8" else np.float32
    for layer in range(card.layers):
        for word in ("key", "value"):
            feeds[f"{word}.{layer}.0"] = np.zeros((1, card.kv_heads, len(ids), card.head_size), kind)
    result: NDArray[np.float32] = session.run(["logits"], feeds)[0][0]
    return result


@pytest.mark.parametrize("name", SHAPES)
def test_float_graph_equals_the_definition(name: str, tmp_path: Path) -> None:
    changes = dict(SHAPES[name])
    tensors = tiny_model.write_source(tmp_path / "source", **changes)
    config = json.loads((tmp_path / "source" / "config.json").read_text())
    recipe = Recipe(weights="f32", kv="f32", slots=(1,))
    card = export(Order(tmp_path / "source", tmp_path / "model", "tiny", recipe))
    ours = run_whole(tmp_path / "model", card, IDS)
    wanted = reference.logits(config, tensors, IDS)
    assert wanted.std() > 0.5
    assert np.abs(ours - wanted).max() < 1e-4 * max(1.0, float(np.abs(wanted).max()))


@pytest.mark.parametrize("block", [32, 64])
def test_int4_graph_equals_the_definition_with_its_rounded_weights(block: int, tmp_path: Path) -> None:
    """Packing, order and scales are right: the graph without rounded activations computes what the restored
    weights say."""
    tensors = tiny_model.write_source(tmp_path / "source", "qwen2")
    config = json.loads((tmp_path / "source" / "config.json").read_text())
    recipe = Recipe(block=block, method="rtn", kv="f32", accuracy_level=1, slots=(1,))
    card = export(Order(tmp_path / "source", tmp_path / "model", "tiny", recipe))
    for source, values in tensors.items():
        if values.ndim != 2:
            continue
        down = source.endswith("down_proj.weight")
        layer = int(source.split(".")[2]) if source.startswith("model.layers.") else 0
        eight = source == "model.embed_tokens.weight" or (down and recipe.down_bits(layer, 3) == 8)
        rounded = quantize(values, bits=8 if eight else 4, block=block)
        tensors[source] = rounded.restored()
    ours = run_whole(tmp_path / "model", card, IDS)
    wanted = reference.logits(config, tensors, IDS)
    assert np.abs(ours - wanted).max() < 1e-4 * float(np.abs(wanted).max())


@pytest.mark.parametrize("family", ["llama", "gemma2", "gemma3"])
def test_int8_kv_stays_close(family: str, tmp_path: Path) -> None:
    tensors = tiny_model.write_source(tmp_path / "source", family)
    config = json.loads((tmp_path / "source" / "config.json").read_text())
    recipe = Recipe(weights="f32", kv="int8", slots=(1,))
    card = export(Order(tmp_path / "source", tmp_path / "model", "tiny", recipe))
    ours = run_whole(tmp_path / "model", card, IDS)
    wanted = reference.logits(config, tensors, IDS)
    error = np.abs(ours - wanted).max() / wanted.std()
    assert 1e-6 < error < 0.1
