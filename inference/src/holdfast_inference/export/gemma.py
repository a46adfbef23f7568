# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""What Gemma 2 and Gemma 3 (the models of text alone) have that the other families have not.

Embeddings are scaled, norms multiply by one more than their weights and stand also behind attention and MLP, most
layers see a window only. Gemma 2 bends scores and logits below a cap; Gemma 3 norms queries and keys instead, and turns
them otherwise in layers with a window.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from . import Unknown

FAMILIES = ("gemma2", "gemma3")
ACTIVATION = "gelu_pytorch_tanh"
_ONE_IN = {"gemma2": 2, "gemma3": 6}
"""Which layers see all, where a configuration does not say."""


def windows(family: str, config: Mapping[str, Any]) -> tuple[int | None, ...]:
    """The window of each layer; None: it sees all."""
    layers = int(config["num_hidden_layers"])
    kinds = config.get("layer_types")
    if kinds is None:
        pattern = int(config.get("sliding_window_pattern") or _ONE_IN[family])
        kinds = ["sliding_attention" if (layer + 1) % pattern else "full_attention" for layer in range(layers)]
    if len(kinds) != layers or set(kinds) - {"sliding_attention", "full_attention"}:
        raise Unknown(f"layer_types {sorted(set(kinds))} for {layers} layers are not known here.")
    return tuple(int(config["sliding_window"]) if kind == "sliding_attention" else None for kind in kinds)


def rope_of(family: str, config: Mapping[str, Any]) -> tuple[Mapping[str, Any], float | None]:
    """What the other families' reading of rotary settings understands, for layers that see all; and the base of those
    with a window, where that is another."""
    if family == "gemma2":
        return config, None
    # What transformers takes where nothing is said; other families begin at 10,000.
    config = {"rope_theta": 1_000_000.0, **config}
    parameters = config.get("rope_parameters") or {}
    if "full_attention" not in parameters:
        return config, float(config.get("rope_local_base_freq", 10000.0))
    local = parameters["sliding_attention"]
    if local.get("rope_type", "default") != "default":
        raise Unknown(f"Rotary scaling {local['rope_type']!r} in layers with a window is not known here.")
    return {**config, "rope_parameters": parameters["full_attention"]}, float(local["rope_theta"])


def peculiarities(family: str, config: Mapping[str, Any]) -> dict[str, Any]:
    """Members of the geometry."""
    caps = {
        name: config.get(key)
        for name, key in (("attention_cap", "attn_logit_softcapping"), ("logit_cap", "final_logit_softcapping"))
    }
    if family == "gemma3" and caps["attention_cap"] is not None:
        raise Unknown("attn_logit_softcapping is not known for Gemma 3.")
    return {
        "gelu": True,
        "embedding_scale": math.sqrt(int(config["hidden_size"])),
        "norm_offset": 1.0,
        "post_norms": True,
        "attention_scale": float(config["query_pre_attn_scalar"]) ** -0.5,
        "windows": windows(family, config),
        **{name: None if value is None else float(value) for name, value in caps.items()},
    }
