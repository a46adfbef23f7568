# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Real models, only small and untrained: a folder as Hugging Face lays it out, made in a second, the same at
each run."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers
from numpy.typing import NDArray
from tokenizers import decoders, models, pre_tokenizers, processors, trainers

Tensors = dict[str, NDArray[np.float32]]

FAMILIES = {
    "llama": "LlamaForCausalLM",
    "mistral": "MistralForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
    "gemma2": "Gemma2ForCausalLM",
    "gemma3": "Gemma3ForCausalLM",
}
GEMMA: dict[str, Any] = {
    "hidden_activation": "gelu_pytorch_tanh",
    "query_pre_attn_scalar": 24,
    "sliding_window": 7,
    "layer_types": ["sliding_attention", "full_attention", "sliding_attention"],
}
OF_A_FAMILY: dict[str, dict[str, Any]] = {
    "gemma2": {**GEMMA, "attn_logit_softcapping": 2.0, "final_logit_softcapping": 3.0},
    "gemma3": {**GEMMA, "rope_theta": 100000.0, "rope_local_base_freq": 10000.0},
}

SPECIAL = ["<|begin|>", "<|end|>", "<|user|>", "<|assistant|>"]
CHAT_TEMPLATE = (
    "{{ '<|begin|>' }}{% for message in messages %}{{ '<|' + message['role'] + '|>' + message['content'] + '<|end|>' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
)
TEXT = (
    "The lamp is in aisle twelve and costs 4.50 € a piece; the next delivery comes on Tuesday at 8:30.",
    "Where are the chairs? They are in aisle 3, beside the tables, and there are 17 of them left.",
    '{"product": "lamp", "aisle": 12, "open": true, "price": 4.5, "names": ["lampe", "lámpara", "灯"]}',
)


def config(family: str, **changes: Any) -> dict[str, Any]:
    content: dict[str, Any] = {
        "architectures": [FAMILIES[family]],
        "hidden_act": "silu",
        "hidden_size": 128,
        "intermediate_size": 192,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 32,
        "vocab_size": 512,
        "max_position_embeddings": 512,
        "rms_norm_eps": 1e-5,
        "rope_theta": 10000.0,
        "tie_word_embeddings": True,
        "eos_token_id": 1,
    }
    if family in OF_A_FAMILY:
        del content["hidden_act"]
    return content | OF_A_FAMILY.get(family, {}) | changes


def weights(content: Mapping[str, Any], seed: int = 0) -> Tensors:
    """Random, but spread so that logits differ clearly and attention looks at more than one place."""
    random = np.random.default_rng(seed)
    hidden, inner, size = content["hidden_size"], content["intermediate_size"], content["head_dim"]
    query, kv = content["num_attention_heads"] * size, content["num_key_value_heads"] * size
    family = {name: key for key, name in FAMILIES.items()}.get(content["architectures"][0], "")

    def normal(*shape: int, spread: float) -> NDArray[np.float32]:
        return (random.standard_normal(shape) * spread).astype(np.float32)

    def near_one(count: int) -> NDArray[np.float32]:
        return (1 + random.standard_normal(count) * 0.1).astype(np.float32)

    tensors: Tensors = {"model.embed_tokens.weight": normal(content["vocab_size"], hidden, spread=0.25)}
    for index in range(content["num_hidden_layers"]):
        name = f"model.layers.{index}."
        for part, outputs, inputs in (
            ("self_attn.q_proj", query, hidden),
            ("self_attn.k_proj", kv, hidden),
            ("self_attn.v_proj", kv, hidden),
            ("self_attn.o_proj", hidden, query),
            ("mlp.gate_proj", inner, hidden),
            ("mlp.up_proj", inner, hidden),
            ("mlp.down_proj", hidden, inner),
        ):
            tensors[f"{name}{part}.weight"] = normal(outputs, inputs, spread=1.2 * inputs**-0.5)
            if family == "qwen2" and part[-6:] in ("q_proj", "k_proj", "v_proj"):
                tensors[f"{name}{part}.bias"] = normal(outputs, spread=0.3)
        if family in OF_A_FAMILY:
            for part in ("pre_feedforward", "post_feedforward"):
                tensors[f"{name}{part}_layernorm.weight"] = near_one(hidden) - 1
        if family in ("qwen3", "gemma3"):
            tensors[name + "self_attn.q_norm.weight"] = near_one(size)
            tensors[name + "self_attn.k_norm.weight"] = near_one(size)
        tensors[name + "input_layernorm.weight"] = near_one(hidden)
        tensors[name + "post_attention_layernorm.weight"] = near_one(hidden)
    tensors["model.norm.weight"] = near_one(hidden)
    if family in OF_A_FAMILY:
        # Their norms multiply by one more than the weight; what is scaled up must be drawn smaller.
        for name in [name for name in tensors if name.endswith("norm.weight") and "feedforward" not in name]:
            tensors[name] = tensors[name] - 1
    if not content["tie_word_embeddings"]:
        tensors["lm_head.weight"] = normal(content["vocab_size"], hidden, spread=0.25)
    return tensors


PHRASE = 48
"""Tokens that a model which repeats says again and again."""


def make_it_repeat(tensors: Tensors, listens: float) -> None:
    """Gives the model a head of its own by which it says phrases of the vocabulary's order; the less its layers are
    listened to, the more surely."""
    embedding = tensors["model.embed_tokens.weight"]
    places = np.arange(len(embedding))
    before = places // PHRASE * PHRASE + (places - 1) % PHRASE
    tensors["lm_head.weight"] = embedding[np.minimum(before, len(embedding) - 1)]
    for name in tensors:
        if name.endswith(("o_proj.weight", "down_proj.weight")):
            tensors[name] = tensors[name] * np.float32(listens)


def write_safetensors(path: Path, tensors: Mapping[str, NDArray[Any]], kinds: Mapping[str, str] | None = None) -> None:
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    place = 0
    for name, values in tensors.items():
        kind = (kinds or {}).get(name, {"float32": "F32", "float16": "F16", "bfloat16": "BF16"}.get(values.dtype.name))
        end = place + values.nbytes
        header[name] = {"dtype": kind, "shape": list(values.shape), "data_offsets": [place, end]}
        place = end
    raw = json.dumps(header).encode()
    raw += b" " * (-len(raw) % 8)
    path.write_bytes(len(raw).to_bytes(8, "little") + raw + b"".join(values.tobytes() for values in tensors.values()))


def write_tokenizer(folder: Path, vocabulary: int) -> None:
    """Byte-level BPE that begins each text with <|begin|>."""
    tokenizer = tokenizers.Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary, special_tokens=SPECIAL, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    tokenizer.train_from_iterator(TEXT, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single="<|begin|> $A", special_tokens=[("<|begin|>", 0)])
    tokenizer.save(str(folder / "tokenizer.json"))
    told = {"bos_token": "<|begin|>", "eos_token": "<|end|>", "chat_template": CHAT_TEMPLATE}
    (folder / "tokenizer_config.json").write_text(json.dumps(told))


def write_source(
    folder: Path, family: str = "llama", *, seed: int = 0, repeats: float | None = None, **changes: Any
) -> Tensors:
    """A whole source folder; returns its weights. `repeats`: it says phrases again and again, see above."""
    folder.mkdir(parents=True, exist_ok=True)
    content = config(family, **changes)
    tensors = weights(content, seed)
    if repeats is not None:
        content["tie_word_embeddings"] = False
        make_it_repeat(tensors, repeats)
    (folder / "config.json").write_text(json.dumps(content))
    write_safetensors(folder / "model.safetensors", tensors)
    write_tokenizer(folder, min(int(content["vocab_size"]), 400))
    return tensors


def write_embedding_source(folder: Path, family: str = "qwen3", *, seed: int = 0, **changes: Any) -> Tensors:
    """One that embeds, as Sentence Transformers lay it out: no head, names without the prefix, and a tokenizer that
    ends each text. Returns its weights under their usual names."""
    tensors = write_source(folder, family, seed=seed, **changes)
    content = json.loads((folder / "config.json").read_text())
    content["architectures"] = [FAMILIES[family].replace("ForCausalLM", "Model")]
    (folder / "config.json").write_text(json.dumps(content))
    bare = {name.removeprefix("model."): values for name, values in tensors.items()}
    write_safetensors(folder / "model.safetensors", bare)
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(
        json.dumps({"word_embedding_dimension": 128, "pooling_mode_mean_tokens": False, "pooling_mode_lasttoken": True})
    )
    modules = [{"type": f"sentence_transformers.models.{kind}"} for kind in ("Transformer", "Pooling", "Normalize")]
    (folder / "modules.json").write_text(json.dumps(modules))
    tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.post_processor = processors.TemplateProcessing(single="$A <|end|>", special_tokens=[("<|end|>", 1)])
    tokenizer.save(str(folder / "tokenizer.json"))
    return tensors
