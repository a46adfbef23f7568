# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A model of Llama's architecture with random weights, for us and, as a GGUF file of the same shape, for the rival."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Kind
from holdfast_inference.export.exporter import Order, export
from holdfast_inference.export.recipe import Recipe
from holdfast_inference.model_folder import Card

from tests.inference import tiny_model

SLOTS = (1, 2, 4, 8)


@dataclass(frozen=True)
class Shape:
    layers: int
    hidden: int
    intermediate: int
    heads: int
    kv_heads: int
    vocabulary: int
    context: int = 2048


FULL = Shape(32, 960, 2560, 15, 5, 49152)
"""360 million parameters."""
SHORT = Shape(4, 512, 1024, 8, 4, 4096, 1024)
"""To see in a minute that the bench works; its figures mean nothing."""
HEAD = 64


LISTENS = 0.18
"""By which a random model falls into phrases that it repeats, and out of them again: at 0.15 it never gets out, from
0.22 on hardly ever in."""


def make_source(shape: Shape, folder: Path, *, repeats: bool = False) -> None:
    """As Hugging Face lays it out."""
    tiny_model.write_source(
        folder,
        repeats=LISTENS if repeats else None,
        hidden_size=shape.hidden,
        intermediate_size=shape.intermediate,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        head_dim=HEAD,
        vocab_size=shape.vocabulary,
        max_position_embeddings=shape.context,
    )


def make_ours(source: Path, folder: Path, block: int) -> Card:
    """4 bits everywhere but head and embedding, as the rival's file has it; rounding to nearest is the quickest."""
    return export(Order(source, folder, "bench", Recipe(block=block, method="rtn", mixed=False, slots=SLOTS)))


def make_rivals(shape: Shape, path: Path) -> float:
    """Q4_0 with embedding and head in Q8_0; returns the bits of a weight."""
    random = np.random.default_rng(0)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(shape.layers)
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.hidden)
    writer.add_feed_forward_length(shape.intermediate)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    writer.add_rope_dimension_count(HEAD)
    writer.add_vocab_size(shape.vocabulary)
    # llama.cpp falls over without words for its tokens; what they say is of no matter.
    writer.add_tokenizer_model("llama")
    writer.add_token_list([f"<{token}>" for token in range(shape.vocabulary)])
    writer.add_token_scores([0.0] * shape.vocabulary)
    writer.add_token_types([gguf.TokenType.NORMAL] * shape.vocabulary)
    bits = weights = 0

    def add(name: str, rows: int, columns: int, kind: Kind) -> None:
        nonlocal bits, weights
        values = (random.standard_normal((rows, columns), np.float32) * columns**-0.5).astype(np.float32)
        packed = gguf.quants.quantize(values, kind)
        bits, weights = bits + 8 * packed.nbytes, weights + values.size
        writer.add_tensor(name, packed, raw_dtype=kind)

    def add_norm(name: str) -> None:
        writer.add_tensor(name, np.ones(shape.hidden, np.float32))

    add("token_embd.weight", shape.vocabulary, shape.hidden, Kind.Q8_0)
    for layer in range(shape.layers):
        name = f"blk.{layer}."
        add_norm(name + "attn_norm.weight")
        add_norm(name + "ffn_norm.weight")
        for part, rows, columns in (
            ("attn_q", shape.heads * HEAD, shape.hidden),
            ("attn_k", shape.kv_heads * HEAD, shape.hidden),
            ("attn_v", shape.kv_heads * HEAD, shape.hidden),
            ("attn_output", shape.hidden, shape.heads * HEAD),
            ("ffn_gate", shape.intermediate, shape.hidden),
            ("ffn_up", shape.intermediate, shape.hidden),
            ("ffn_down", shape.hidden, shape.intermediate),
        ):
            add(f"{name}{part}.weight", rows, columns, Kind.Q4_0)
    add_norm("output_norm.weight")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return bits / weights
