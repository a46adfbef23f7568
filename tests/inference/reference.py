# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The families' mathematics in plain numpy and float64, written from their definition and not from our export:
the oracle."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]


def _is_gemma(config: Mapping[str, Any]) -> bool:
    return bool(config["architectures"][0].startswith("Gemma"))


def _norm(values: Doubles, weight: NDArray[Any], epsilon: float) -> Doubles:
    normed: Doubles = values / np.sqrt((values**2).mean(axis=-1, keepdims=True) + epsilon) * weight
    return normed


def _frequencies(config: Mapping[str, Any]) -> list[float]:
    size = config["head_dim"]
    scaling = config.get("rope_scaling") or {}
    kind = scaling.get("rope_type", "default")
    frequencies = []
    for pair in range(size // 2):
        plain = 1.0 / config["rope_theta"] ** (2 * pair / size)
        if kind == "linear":
            plain /= scaling["factor"]
        if kind == "llama3":
            wave, known = 2 * math.pi / plain, scaling["original_max_position_embeddings"]
            longest, shortest = known / scaling["low_freq_factor"], known / scaling["high_freq_factor"]
            if wave > longest:
                plain /= scaling["factor"]
            elif wave >= shortest:
                smooth = (known / wave - scaling["low_freq_factor"]) / (
                    scaling["high_freq_factor"] - scaling["low_freq_factor"]
                )
                plain = (1 - smooth) * plain / scaling["factor"] + smooth * plain
        frequencies.append(plain)
    return frequencies


def _turn(heads: Doubles, config: Mapping[str, Any], base: float | None = None) -> Doubles:
    """Rotates each pair (channel i, channel i + half) of [positions, heads, size] by its position."""
    half = heads.shape[-1] // 2
    turned = heads.copy()
    plain = {**config, "rope_theta": base, "rope_scaling": None} if base is not None else config
    for position in range(heads.shape[0]):
        for pair, frequency in enumerate(_frequencies(plain)):
            cosine, sine = math.cos(position * frequency), math.sin(position * frequency)
            left, right = heads[position, :, pair], heads[position, :, pair + half]
            turned[position, :, pair] = left * cosine - right * sine
            turned[position, :, pair + half] = right * cosine + left * sine
    return turned


def _bent(values: Doubles, cap: float | None) -> Doubles:
    return values if cap is None else np.tanh(values / cap) * cap


def _attention(
    q: Doubles, k: Doubles, v: Doubles, window: int | None, scale: float | None = None, cap: float | None = None
) -> Doubles:
    positions, heads, size = q.shape
    share = heads // k.shape[1]
    result = np.zeros_like(q)
    for position in range(positions):
        first = max(0, position - window + 1) if window else 0
        for head in range(heads):
            keys, values = k[first : position + 1, head // share], v[first : position + 1, head // share]
            scores = _bent(keys @ q[position, head] * (scale or size**-0.5), cap)
            odds = np.exp(scores - scores.max())
            result[position, head] = (odds / odds.sum()) @ values
    return result.reshape(positions, heads * size)


def states(config: Mapping[str, Any], tensors: Mapping[str, NDArray[np.float32]], ids: Sequence[int]) -> Doubles:
    """What the last norm makes of each position: [positions, hidden]."""
    weight = {name: values.astype(np.float64) for name, values in tensors.items()}
    epsilon, size = config["rms_norm_eps"], config["head_dim"]
    window = config.get("sliding_window") if config["architectures"] == ["MistralForCausalLM"] else None
    stream = weight["model.embed_tokens.weight"][list(ids)]
    for index in range(config["num_hidden_layers"]):
        name = f"model.layers.{index}."
        normed = _norm(stream, weight[name + "input_layernorm.weight"], epsilon)
        parts = []
        for part in "qkv":
            product = normed @ weight[f"{name}self_attn.{part}_proj.weight"].T
            product = product + weight.get(f"{name}self_attn.{part}_proj.bias", np.zeros(1))
            heads = product.reshape(len(ids), -1, size)
            own_norm = weight.get(f"{name}self_attn.{part}_norm.weight")
            if own_norm is not None:
                heads = _norm(heads, own_norm, epsilon)
            parts.append(heads if part == "v" else _turn(heads, config))
        attended = _attention(parts[0], parts[1], parts[2], window)
        stream = stream + attended @ weight[name + "self_attn.o_proj.weight"].T
        normed = _norm(stream, weight[name + "post_attention_layernorm.weight"], epsilon)
        gate = normed @ weight[name + "mlp.gate_proj.weight"].T
        up = normed @ weight[name + "mlp.up_proj.weight"].T
        stream = stream + (gate / (1 + np.exp(-gate)) * up) @ weight[name + "mlp.down_proj.weight"].T
    return _norm(stream, weight["model.norm.weight"], epsilon)


def logits(config: Mapping[str, Any], tensors: Mapping[str, NDArray[np.float32]], ids: Sequence[int]) -> Doubles:
    """[positions, vocabulary]."""
    head = tensors.get("lm_head.weight", tensors["model.embed_tokens.weight"])
    found = _gemma_states(config, tensors, ids) if _is_gemma(config) else states(config, tensors, ids)
    result: Doubles = found @ head.astype(np.float64).T
    return _bent(result, config.get("final_logit_softcapping"))


def _gemma_states(config: Mapping[str, Any], tensors: Mapping[str, NDArray[np.float32]], ids: Sequence[int]) -> Doubles:
    """Gemma 2 and 3: norms of 1 + weight on both sides of attention and MLP, scaled embeddings, GELU by tanh."""
    weight = {name: values.astype(np.float64) for name, values in tensors.items()}
    epsilon, size = config["rms_norm_eps"], config["head_dim"]
    scale = float(config["query_pre_attn_scalar"]) ** -0.5

    def normed(values: Doubles, name: str) -> Doubles:
        return _norm(values, 1.0 + weight[name + ".weight"], epsilon)

    stream = weight["model.embed_tokens.weight"][list(ids)] * math.sqrt(config["hidden_size"])
    for index in range(config["num_hidden_layers"]):
        name = f"model.layers.{index}."
        local = config["layer_types"][index] == "sliding_attention"
        base = config.get("rope_local_base_freq") if local else None
        seen = normed(stream, name + "input_layernorm")
        parts = []
        for part in "qkv":
            heads = (seen @ weight[f"{name}self_attn.{part}_proj.weight"].T).reshape(len(ids), -1, size)
            if f"{name}self_attn.{part}_norm.weight" in weight:
                heads = normed(heads, f"{name}self_attn.{part}_norm")
            parts.append(heads if part == "v" else _turn(heads, config, base))
        window = config["sliding_window"] if local else None
        cap = config.get("attn_logit_softcapping")
        attended = _attention(parts[0], parts[1], parts[2], window, scale, cap)
        stream = stream + normed(
            attended @ weight[name + "self_attn.o_proj.weight"].T, name + "post_attention_layernorm"
        )
        seen = normed(stream, name + "pre_feedforward_layernorm")
        gate, up = seen @ weight[name + "mlp.gate_proj.weight"].T, seen @ weight[name + "mlp.up_proj.weight"].T
        gate = 0.5 * gate * (1 + np.tanh(math.sqrt(2 / math.pi) * (gate + 0.044715 * gate**3)))
        down = (gate * up) @ weight[name + "mlp.down_proj.weight"].T
        stream = stream + normed(down, name + "post_feedforward_layernorm")
    return normed(stream, "model.norm")
