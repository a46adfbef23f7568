# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What export writes, and what it refuses by name without leaving anything behind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from holdfast_inference.export import Unknown
from holdfast_inference.export.__main__ import main
from holdfast_inference.export.exporter import Order, export
from holdfast_inference.export.quantize import quantize
from holdfast_inference.export.recipe import Recipe
from holdfast_inference.export.safetensors import Tensors
from holdfast_inference.model_folder import BadModelFolder, read_card

from tests.inference import tiny_model


def test_the_command_makes_a_folder_that_can_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny_model.write_source(tmp_path / "source")
    assert main([str(tmp_path / "source"), str(tmp_path / "shop"), "--slots", "1", "3", "--context", "128"]) == 0
    told = json.loads(capsys.readouterr().out)
    card = read_card(tmp_path / "shop")
    assert (told["digest"], told["name"]) == (card.digest, "shop")
    assert (card.context, card.kv, card.block, sorted(card.graphs)) == (128, "int8", 64, [1, 3])
    assert card.parameters == 512 * 128 + 128 + 3 * (128 * 256 + 128 * 128 + 3 * 128 * 192 + 2 * 128)
    assert card.kv_bytes_per_token() == 2 * 3 * 2 * 32
    assert 4.5 < told["bits_per_weight"] < 8.6
    assert told["bytes"] == sum((tmp_path / "shop" / name).stat().st_size for name in card.files)


def test_the_same_source_gives_the_same_digest(tmp_path: Path) -> None:
    tiny_model.write_source(tmp_path / "source")
    cards = [export(Order(tmp_path / "source", tmp_path / name, "shop")) for name in ("one", "two")]
    assert cards[0].digest == cards[1].digest
    tiny_model.write_source(tmp_path / "other", seed=1)
    assert export(Order(tmp_path / "other", tmp_path / "three", "shop")).digest != cards[0].digest


@pytest.mark.parametrize("way", ["flip a bit", "cut", "remove", "change the card", "no card", "newer format"])
def test_a_damaged_folder_is_refused(way: str, tmp_path: Path) -> None:
    tiny_model.write_source(tmp_path / "source")
    folder = tmp_path / "model"
    export(Order(tmp_path / "source", folder, "shop", Recipe(slots=(1,))))
    weights, card = folder / "weights.bin", folder / "model.json"
    content = json.loads(card.read_text())
    if way == "flip a bit":
        raw = bytearray(weights.read_bytes())
        raw[len(raw) // 2] ^= 1
        weights.write_bytes(raw)
        read_card(folder, verify=False)
    elif way == "cut":
        weights.write_bytes(weights.read_bytes()[:-1])
    elif way == "remove":
        (folder / "tokenizer.json").unlink()
    elif way == "change the card":
        card.write_text(json.dumps(content | {"context": 1024}))
    elif way == "no card":
        card.unlink()
    else:
        card.write_text(json.dumps(content | {"format": 2}))
    expected = {
        "flip a bit": "SHA-256",
        "cut": "bytes where",
        "remove": "tokenizer.json is missing",
        "change the card": "changed after",
        "no card": "no model.json",
        "newer format": "format 2",
    }
    with pytest.raises(BadModelFolder, match=expected[way]):
        read_card(folder)


REFUSALS: dict[str, tuple[dict[str, Any], str]] = {
    "architecture": ({"architectures": ["MixtralForCausalLM"]}, "MixtralForCausalLM"),
    "activation": ({"hidden_act": "gelu"}, "hidden_act 'gelu'"),
    "rotary": ({"rope_scaling": {"rope_type": "yarn", "factor": 4.0}}, "'yarn'"),
    "rotary without its numbers": ({"rope_scaling": {"rope_type": "llama3", "factor": 4.0}}, "low_freq_factor"),
    "part of the head": ({"partial_rotary_factor": 0.5}, "partial_rotary_factor"),
    "quantized": ({"quantization_config": {"bits": 4}}, "quantized already"),
    "qwen's windows": ({"family": "qwen2", "use_sliding_window": True, "sliding_window": 64}, "use_sliding_window"),
    "head size": ({"head_dim": 12}, "12"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_what_is_not_known_is_refused_by_name(name: str, tmp_path: Path) -> None:
    changes, expected = REFUSALS[name]
    family = changes.get("family", "llama")
    tiny_model.write_source(tmp_path / "source", family)
    path = tmp_path / "source" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {k: v for k, v in changes.items() if k != "family"}))
    with pytest.raises(Unknown, match=expected):
        export(Order(tmp_path / "source", tmp_path / "model", "shop"))
    assert [item.name for item in tmp_path.iterdir()] == ["source"]


@pytest.mark.parametrize(
    ("content", "expected"),
    [("{", "cannot be read"), ('{"architectures": ["LlamaForCausalLM"]}', "does not say 'num_attention_heads'")],
)
def test_a_configuration_that_says_too_little_is_refused(
    content: str, expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny_model.write_source(tmp_path / "source")
    (tmp_path / "source" / "config.json").write_text(content)
    assert main([str(tmp_path / "source"), str(tmp_path / "model")]) == 1
    assert expected in capsys.readouterr().err


def test_a_tensor_that_nobody_asked_for_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tensors = tiny_model.write_source(tmp_path / "source")
    tensors["model.layers.0.self_attn.sinks"] = np.zeros(4, np.float32)
    tiny_model.write_safetensors(tmp_path / "source" / "model.safetensors", tensors)
    assert main([str(tmp_path / "source"), str(tmp_path / "model")]) == 1
    assert "model.layers.0.self_attn.sinks" in capsys.readouterr().err
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("way", ["missing", "shape", "not finite", "cut"])
def test_wrong_weights_are_refused(way: str, tmp_path: Path) -> None:
    tensors = tiny_model.write_source(tmp_path / "source")
    path, name = tmp_path / "source" / "model.safetensors", "model.layers.1.mlp.up_proj.weight"
    if way == "missing":
        del tensors[name]
    elif way == "shape":
        tensors[name] = tensors[name][:-1]
    elif way == "not finite":
        tensors[name][3, 4] = np.nan
    tiny_model.write_safetensors(path, tensors)
    if way == "cut":
        path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(Unknown, match=r"up_proj|is cut"):
        export(Order(tmp_path / "source", tmp_path / "model", "shop"))


def test_an_existing_target_is_left_alone(tmp_path: Path) -> None:
    tiny_model.write_source(tmp_path / "source")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine").write_text("mine")
    with pytest.raises(Unknown, match="exists already"):
        export(Order(tmp_path / "source", tmp_path / "model", "shop"))
    assert (tmp_path / "model" / "mine").read_text() == "mine"


def test_half_precision_sources_are_read(tmp_path: Path) -> None:
    values = np.linspace(-3, 3, 24, dtype=np.float32).reshape(4, 6)
    stored = {"half": values.astype(np.float16), "brain": values.astype(ml_dtypes.bfloat16)}
    tiny_model.write_safetensors(tmp_path / "model.safetensors", stored)
    tensors = Tensors(tmp_path)
    assert np.array_equal(tensors.get("half"), values.astype(np.float16).astype(np.float32))
    assert np.abs(tensors.get("brain") - values).max() < 0.02
    tiny_model.write_safetensors(tmp_path / "model.safetensors", stored, {"half": "F8_E4M3"})
    with pytest.raises(Unknown, match="F8_E4M3"):
        Tensors(tmp_path).get("half")


@pytest.mark.parametrize(("bits", "worst"), [(4, 0.5), (8, 0.51)])
def test_rounding_errs_by_half_a_step(bits: int, worst: float) -> None:
    weights = np.random.default_rng(1).standard_normal((6, 100)).astype(np.float32)
    quantized = quantize(weights, bits=bits, block=32)
    assert quantized.packed.shape == (6, 4, 32 * bits // 8)
    steps = np.abs(np.repeat(quantized.scales, 32, axis=1)[:, :100])
    error = np.abs(quantized.restored() - weights) / steps
    # At 4 bits a weight just below the largest, on the side that has one level less, may err by a whole step.
    assert (error <= worst + 1e-3).mean() > 0.97
    assert error.max() <= 1.001


def test_hqq_loses_less_than_rounding_where_there_are_outliers() -> None:
    random = np.random.default_rng(2)
    weights = random.standard_t(3, (64, 512)).astype(np.float32)
    losses = {}
    for method in ("rtn", "hqq"):
        error = np.abs(quantize(weights, bits=4, block=64, method=method).restored() - weights)
        losses[method] = float((error**0.7).sum())
    assert losses["hqq"] < 0.97 * losses["rtn"]


def test_zeros_stay_zeros() -> None:
    for method in ("rtn", "hqq"):
        assert not quantize(np.zeros((2, 64), np.float32), bits=4, block=32, method=method).restored().any()
