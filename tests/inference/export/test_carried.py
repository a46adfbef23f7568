# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a source brings along beside its weights: scales of int8 KV, and a golden set."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from holdfast_inference.export import Unknown
from holdfast_inference.export.exporter import Order, export
from holdfast_inference.export.recipe import Recipe
from holdfast_inference.model_folder import GOLDEN, BadModelFolder, read_card
from numpy.typing import NDArray

from tests.inference import tiny_model

ONE_SLOT = Recipe(method="rtn", slots=(1,))
KV_HEADS, HEAD_SIZE = 2, 32


def name(layer: int, part: str) -> str:
    return f"model.layers.{layer}.self_attn.{part}_int8_scale"


def scales(seed: int) -> tiny_model.Tensors:
    random = np.random.default_rng(seed)
    return {
        name(layer, part): random.uniform(0.01, 0.1, (KV_HEADS, HEAD_SIZE)).astype(np.float32)
        for layer in range(3)
        for part in "kv"
    }


def write(folder: Path, more: tiny_model.Tensors) -> Path:
    tensors = tiny_model.write_source(folder)
    tiny_model.write_safetensors(folder / "model.safetensors", {**tensors, **more})
    return folder


def stored(folder: Path, tensor: str) -> NDArray[np.float32]:
    """A tensor as the graph finds it."""
    graph = onnx.load(str(folder / "graph-1.onnx"), load_external_data=False).graph
    where = {
        entry.key: entry.value for item in graph.initializer if item.name == tensor for entry in item.external_data
    }
    raw = (folder / where["location"]).read_bytes()[int(where["offset"]) :][: int(where["length"])]
    return np.frombuffer(raw, np.float32)


def test_scales_of_the_source_are_kept_as_they_are(tmp_path: Path) -> None:
    given = scales(1)
    card = export(Order(write(tmp_path / "source", given), tmp_path / "model", "shop", ONE_SLOT))
    assert card.report["kv_calibrated_with"] == "scales of the source"
    for layer in range(3):
        for part, word in (("k", "key"), ("v", "value")):
            found = stored(tmp_path / "model", f"layer.{layer}.{word}_scale")
            assert np.array_equal(found, given[name(layer, part)].ravel())


def test_texts_of_its_own_win_over_scales_and_float_kv_needs_none(tmp_path: Path) -> None:
    source = write(tmp_path / "source", scales(1))
    texts = ("The lamp is in aisle twelve.",)
    card = export(Order(source, tmp_path / "texts", "shop", ONE_SLOT, texts=texts))
    assert card.report["kv_calibrated_with"] == "1 texts of its own"
    plain = Recipe(weights="f32", kv="f32", slots=(1,))
    assert export(Order(source, tmp_path / "float", "shop", plain)).kv == "f32"


@pytest.mark.parametrize("way", ["missing", "shape", "zero", "not finite"])
def test_wrong_scales_are_refused(way: str, tmp_path: Path) -> None:
    given = scales(1)
    if way == "missing":
        del given[name(2, "v")]
    elif way == "shape":
        given[name(2, "v")] = given[name(2, "v")][:1]
    else:
        given[name(2, "v")][0, 0] = 0 if way == "zero" else np.inf
    with pytest.raises(Unknown, match=r"layers\.2\.self_attn\.v_int8_scale"):
        export(Order(write(tmp_path / "source", given), tmp_path / "model", "shop", ONE_SLOT))
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_a_golden_set_goes_into_the_folder_under_its_digest(tmp_path: Path) -> None:
    source = write(tmp_path / "source", {})
    golden = tmp_path / "questions"
    golden.write_text(json.dumps({"prompt": "Where is the lamp?", "answer": "Here."}) + "\n")
    without = export(Order(source, tmp_path / "without", "shop", ONE_SLOT))
    card = export(Order(source, tmp_path / "with", "shop", ONE_SLOT, golden=golden, judge_golden=False))
    assert (tmp_path / "with" / GOLDEN).read_text() == golden.read_text()
    assert GOLDEN in card.files
    assert "golden" not in card.report
    assert card.digest != without.digest
    judged = export(Order(source, tmp_path / "judged", "shop", ONE_SLOT, golden=golden))
    assert judged.report["golden"]["samples"] == 1
    (tmp_path / "with" / GOLDEN).write_text(golden.read_text().replace("Here", "Away"))
    with pytest.raises(BadModelFolder, match=GOLDEN):
        read_card(tmp_path / "with")
