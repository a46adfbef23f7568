# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""GGUF files, written by the format's own library, come in without loss and compute what their numbers say."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from gguf import GGMLQuantizationType as Kind
from holdfast_inference.export.__main__ import main
from holdfast_inference.export.exporter import Order, export
from holdfast_inference.export.families import read_geometry
from holdfast_inference.export.gguf_file import GgufTensors, read_gguf_geometry
from holdfast_inference.export.recipe import Recipe

from tests.inference import reference, tiny_model
from tests.inference.export.test_mathematics import IDS, LLAMA3, run_whole

NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "lm_head": "output",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def gguf_name(name: str) -> str:
    for ours, theirs in NAMES.items():
        name = name.replace(ours + ".", theirs + ".")
    return name.replace("model.layers.", "blk.")


def paired(values: Any, size: int) -> Any:
    """The order in which llama.cpp's converter writes the rows of Llama's queries and keys."""
    heads = values.reshape(-1, 2, size // 2, *values.shape[1:])
    return np.ascontiguousarray(np.moveaxis(heads, 1, 2)).reshape(values.shape)


def write(folder: Path, family: str, kind: Kind, **changes: Any) -> tuple[Path, dict[str, Any], dict[str, Any]]:
    """A GGUF file; returns it with the configuration and the weights as they are after rounding."""
    extra = {key: changes.pop(key) for key in ("facts", "output") if key in changes}
    tensors = tiny_model.write_source(folder / "source", family, **changes)
    config = json.loads((folder / "source" / "config.json").read_text())
    writer = gguf.GGUFWriter(folder / "model.gguf", family)
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_key_length(config["head_dim"])
    writer.add_value_length(config["head_dim"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_rope_freq_base(config["rope_theta"])
    writer.add_eos_token_id(1)
    for key, value in extra.get("facts", {}).items():
        writer.add_uint32(key, value)
    rounded = {}
    for name, values in tensors.items():
        own = kind if values.ndim == 2 else Kind.F32
        if name == "model.embed_tokens.weight" and kind == Kind.Q4_0:
            own = extra.get("output", Kind.Q8_0)
        in_pairs = family == "llama" and any(part in name for part in ("q_proj", "k_proj"))
        written = paired(values, config["head_dim"]) if in_pairs else values
        packed = gguf.quants.quantize(written, own)
        writer.add_tensor(gguf_name(name), packed, raw_dtype=own)
        rounded[name] = gguf.quants.dequantize(gguf.quants.quantize(values, own), own).reshape(values.shape)
    if config.get("rope_scaling"):
        geometry = read_geometry(folder / "source")
        half = geometry.head_size // 2
        plain = geometry.rope_theta ** -(np.arange(half) / half)
        writer.add_tensor("rope_freqs.weight", (plain / geometry.rotary_frequencies()).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return folder / "model.gguf", config, rounded


@pytest.mark.parametrize("kind", [Kind.Q4_0, Kind.Q8_0, Kind.F16])
@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3"])
def test_the_graph_computes_what_the_files_numbers_say(family: str, kind: Kind, tmp_path: Path) -> None:
    scaling = {"rope_scaling": LLAMA3} if family == "llama" else {}
    path, config, rounded = write(tmp_path, family, kind, **scaling)
    weights = "int4" if kind == Kind.Q4_0 else "int8" if kind == Kind.Q8_0 else "f32"
    recipe = Recipe(weights=weights, kv="f32", accuracy_level=1, slots=(1,))  # type: ignore[arg-type]
    card = export(Order(path, tmp_path / "model", "tiny", recipe, tokenizer=tmp_path / "source"))
    ours = run_whole(tmp_path / "model", card, IDS)
    wanted = reference.logits(config, rounded, IDS)
    assert np.abs(ours - wanted).max() < 1e-4 * max(1.0, float(np.abs(wanted).max()))
    assert (card.weights, card.block) == (weights, 0 if kind == Kind.F16 else 32)
    assert card.report["tensors_kept_as_they_were"] == (0 if kind == Kind.F16 else 7 * 3 + 1)


@pytest.mark.parametrize("kind", [Kind.Q4_0, Kind.Q8_0])
def test_blocks_are_kept_bit_for_bit(kind: Kind, tmp_path: Path) -> None:
    path, _, rounded = write(tmp_path, "llama", kind)
    tensors = GgufTensors(path, read_gguf_geometry(path))
    for name in ("model.layers.1.self_attn.q_proj.weight", "model.layers.2.mlp.down_proj.weight"):
        blocks = tensors.blocks(name)
        assert blocks is not None and blocks.bits == (4 if kind == Kind.Q4_0 else 8)
        assert np.array_equal(blocks.restored(), rounded[name])
        assert np.array_equal(blocks.widened().restored(), rounded[name])
        assert np.array_equal(tensors.get(name), rounded[name])


def test_the_geometry_is_that_of_the_original(tmp_path: Path) -> None:
    path, _, _ = write(tmp_path, "qwen3", Kind.F16, tie_word_embeddings=False)
    assert read_gguf_geometry(path, context=200) == read_geometry(tmp_path / "source", context=200)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "another architecture": ({"rename": "gemma3"}, "'gemma3'"),
    "experts": ({"facts": {"llama.expert_count": 8}}, "expert_count 8"),
    "a type that is not known": ({"kind": Kind.Q5_0}, "Q5_0"),
    "another tokenizer": ({"tokens": ["<|begin|>", "<|end|>", "other"]}, "token 2"),
    "no tokenizer": ({"no_tokenizer": True}, "no tokenizer.json"),
    "cut": ({"cut": True}, r"cannot be read|GGUF"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_known_is_refused_by_name(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changes, expected = REFUSED[name]
    path, _, _ = write(tmp_path, "llama", changes.get("kind", Kind.Q8_0), facts=changes.get("facts", {}))
    folder = tmp_path / "source"
    if "rename" in changes or "tokens" in changes:
        writer = gguf.GGUFWriter(path, changes.get("rename", "llama"))
        writer.add_token_list(changes.get("tokens", []) or ["a"])
        for key, value in (("block_count", 3), ("context_length", 64), ("embedding_length", 128)):
            writer.add_uint32(f"llama.{key}", value)
        writer.add_feed_forward_length(192)
        writer.add_head_count(4)
        writer.add_layer_norm_rms_eps(1e-5)
        writer.add_tensor("token_embd.weight", np.zeros((512, 128), np.float32))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
    if "no_tokenizer" in changes:
        folder = tmp_path
    if "cut" in changes:
        path.write_bytes(path.read_bytes()[:3000])
    assert main([str(path), str(tmp_path / "model"), "--tokenizer", str(folder)]) == 1
    assert re.search(expected, capsys.readouterr().err)
    assert not (tmp_path / "model").exists()
