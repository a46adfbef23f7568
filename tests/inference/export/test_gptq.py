# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""GPTQ makes the products right on inputs like those that it learned from."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from holdfast_inference.engine.text import ModelTokenizer
from holdfast_inference.export.__main__ import main
from holdfast_inference.export.exporter import Order, export
from holdfast_inference.export.gptq import Inputs, rounded
from holdfast_inference.export.quantize import Method, quantize
from holdfast_inference.export.recipe import Recipe

from tests.inference import reference, tiny_model


def test_products_lose_less_where_inputs_go_together() -> None:
    random = np.random.default_rng(4)
    weights = random.standard_normal((96, 128)).astype(np.float32)
    mixing = random.standard_normal((24, 128))
    inputs, others = (
        (random.standard_normal((rows, 24)) @ mixing + 0.3 * random.standard_normal((rows, 128))).astype(np.float32)
        for rows in (2000, 500)
    )
    learned = rounded(weights, inputs.T @ inputs, block=32)
    assert learned.packed.shape == (96, 4, 16)
    loss = {"gptq": float(((others @ (learned.restored() - weights).T) ** 2).mean())}
    methods: tuple[Method, ...] = ("rtn", "hqq")
    for method in methods:
        plain = quantize(weights, bits=4, block=32, method=method).restored()
        loss[method] = float(((others @ (plain - weights).T) ** 2).mean())
    assert loss["gptq"] < 0.5 * min(loss["rtn"], loss["hqq"])


def test_inputs_that_never_come_harm_nothing() -> None:
    weights = np.random.default_rng(5).standard_normal((8, 64)).astype(np.float32)
    once = np.zeros((64, 64), np.float32)
    once[3, 3] = 2.0
    restored = rounded(weights, once, block=32).restored()
    assert np.isfinite(restored).all()
    assert np.abs(restored - weights).max() < 0.5


@pytest.fixture
def source(tmp_path: Path) -> Path:
    tiny_model.write_source(tmp_path / "source")
    random = np.random.default_rng(6)
    tokenizer = ModelTokenizer(tmp_path / "source")
    lines = [tokenizer.decode([int(item) for item in random.integers(4, 380, 60)]) for _ in range(30)]
    (tmp_path / "texts").write_text("\n\n".join(line.replace("\n", " ") for line in lines[:20]), encoding="utf-8")
    (tmp_path / "others").write_text("\n\n".join(line.replace("\n", " ") for line in lines[20:]), encoding="utf-8")
    return tmp_path / "source"


def test_what_is_learned_is_what_the_network_computes(source: Path) -> None:
    """The inputs of the first product, from their definition: the normed embeddings."""
    folder = source.parent / "plain"
    card = export(Order(source, folder, "plain", Recipe(weights="f32", kv="f32", slots=(1,))))
    texts = [[0, 5, 9, 300, 17], [0, 44]]
    learned = Inputs(folder, card, texts)
    tensors = tiny_model.weights(json.loads((source / "config.json").read_text()))
    rows = tensors["model.embed_tokens.weight"][texts[0] + texts[1]].astype(np.float64)
    weight = tensors["model.layers.0.input_layernorm.weight"]
    normed = reference._norm(rows, weight, 1e-5)
    assert np.allclose(learned.together("layer.0.qkv"), normed.T @ normed, rtol=1e-3, atol=1e-3)
    assert learned.together("layer.2.down").shape == (192, 192)


def test_a_network_stays_closer_with_gptq(source: Path) -> None:
    read = {
        name: tuple((source.parent / name).read_text(encoding="utf-8").split("\n\n")) for name in ("texts", "others")
    }
    agreement = {}
    methods: tuple[Method, ...] = ("rtn", "gptq")
    for method in methods:
        recipe = Recipe(block=64, method=method, mixed=False, slots=(1,))
        order = Order(source, source.parent / method, method, recipe, texts=read["texts"], judge_texts=read["others"])
        agreement[method] = export(order).report["argmax_agreement"]
    assert agreement["gptq"] > agreement["rtn"]


def test_gptq_without_texts_is_refused(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(source), str(source.parent / "model"), "--method", "gptq"]) == 1
    assert "--texts" in capsys.readouterr().err
