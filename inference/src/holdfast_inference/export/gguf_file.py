# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""Reads GGUF files. Q4_0 and Q8_0 are blocks of 32 with one scale, which the runtime's products read as they
are: nothing is rounded again. F32, F16 and BF16 are sources like others; Q6_K, which such files have for the
head, becomes 8 bits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf
import numpy as np
import tokenizers
from gguf import GGMLQuantizationType as Kind

from . import Unknown
from .families import Geometry
from .quantize import Floats, Quantized

_FAMILIES = {"llama": "llama", "qwen2": "qwen2", "qwen3": "qwen3"}
_PLAIN = (Kind.F32, Kind.F16, Kind.BF16)
_KEPT = (Kind.Q4_0, Kind.Q8_0)
_KNOWN = (*_PLAIN, *_KEPT, Kind.Q6_K)
_BLOCK = 32
_OUTER = {
    "model.embed_tokens.weight": "token_embd.weight",
    "model.norm.weight": "output_norm.weight",
    "lm_head.weight": "output.weight",
}
_IN_LAYER = {
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


def _open(path: Path) -> gguf.GGUFReader:
    try:
        return gguf.GGUFReader(path)
    except (ValueError, IndexError, KeyError, OSError) as error:
        raise Unknown(f"{path} cannot be read as GGUF: {error}.") from None


class _Facts:
    """The key-value part of a file."""

    def __init__(self, path: Path) -> None:
        self.reader = _open(path)
        self.family = str(self.get("general.architecture", ""))

    def get(self, key: str, default: Any = None) -> Any:
        field = self.reader.get_field(key)
        return default if field is None else field.contents()

    def own(self, key: str, default: Any = None) -> Any:
        """A key of the file's architecture; without a default it has to be there."""
        value = self.get(f"{self.family}.{key}", default)
        if value is None:
            raise Unknown(f"The GGUF file does not say {self.family}.{key}.")
        return value


def read_gguf_geometry(path: Path, *, context: int | None = None) -> Geometry:
    """What the file says of its shape, or Unknown with the part that is not known."""
    facts = _Facts(path)
    if facts.family not in _FAMILIES:
        raise Unknown(f"GGUF architecture {facts.family!r} is not known here; {', '.join(_FAMILIES)} are.")
    for key in ("expert_count", "attention.sliding_window", "attention.logit_softcapping"):
        if facts.own(key, 0):
            raise Unknown(f"{facts.family}.{key} {facts.own(key)} is not known here.")
    tensors = {tensor.name: tensor for tensor in facts.reader.tensors}
    heads, hidden = int(facts.own("attention.head_count")), int(facts.own("embedding_length"))
    longest = int(facts.own("context_length"))
    size = int(facts.own("attention.key_length", hidden // heads))
    if int(facts.own("attention.value_length", size)) != size or int(facts.own("rope.dimension_count", size)) != size:
        raise Unknown("Heads whose keys, values and rotated part differ in size are not known here.")
    if "token_embd.weight" not in tensors:
        raise Unknown("The GGUF file has no tensor token_embd.weight.")
    return Geometry(
        family=_FAMILIES[facts.family],
        layers=int(facts.own("block_count")),
        hidden=hidden,
        heads=heads,
        kv_heads=int(facts.own("attention.head_count_kv", heads)),
        head_size=size,
        intermediate=int(facts.own("feed_forward_length")),
        vocabulary=int(tensors["token_embd.weight"].shape[1]),
        context=min(longest, context) if context else longest,
        norm_epsilon=_as_written(facts.own("attention.layer_norm_rms_epsilon")),
        rope_theta=_as_written(facts.own("rope.freq_base", 10000.0)),
        rope_scaling=_rope(facts, tensors),
        window=None,
        tied="output.weight" not in tensors,
        qk_norm=facts.family == "qwen3",
        eos_ids=_eos_ids(facts),
    )


def _as_written(value: float) -> float:
    """The number that somebody wrote before the file made a float32 of it."""
    return float(f"{value:.7g}")


def _rope(facts: _Facts, tensors: dict[str, Any]) -> dict[str, Any]:
    kind = facts.own("rope.scaling.type", "none")
    if "rope_freqs.weight" in tensors:
        # Llama 3's stretch of the long waves comes as one divisor for each pair of channels.
        return {"rope_type": "divisors", "divisors": [float(item) for item in tensors["rope_freqs.weight"].data]}
    if kind == "linear":
        return {"rope_type": "linear", "factor": float(facts.own("rope.scaling.factor"))}
    if kind != "none":
        raise Unknown(f"Rotary scaling {kind!r} is not known here; none and linear are.")
    return {"rope_type": "default"}


def _eos_ids(facts: _Facts) -> tuple[int, ...]:
    found = (facts.get(f"tokenizer.ggml.{name}_token_id") for name in ("eos", "eot"))
    return tuple(dict.fromkeys(int(token) for token in found if token is not None))


def check_tokenizer(path: Path, folder: Path) -> None:
    """Unknown if the tokenizer beside the file calls a token otherwise than the file does."""
    named = _Facts(path).get("tokenizer.ggml.tokens")
    tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    for number, name in enumerate(named or []):
        ours = tokenizer.id_to_token(number)
        if ours is not None and ours != name:
            raise Unknown(
                f"{folder}/tokenizer.json calls token {number} {ours!r} and the GGUF file {name!r}: not the same."
            )


class GgufTensors:
    """The tensors under the names of Hugging Face."""

    def __init__(self, path: Path, geometry: Geometry) -> None:
        self._geometry = geometry
        self._tensors = {tensor.name: tensor for tensor in _open(path).tensors}
        self._taken = {"rope_freqs.weight"}
        for tensor in self._tensors.values():
            if tensor.tensor_type not in _KNOWN:
                known = ", ".join(kind.name for kind in _KNOWN)
                raise Unknown(f"{tensor.name} is of type {tensor.tensor_type.name}; {known} are known here.")

    def __contains__(self, name: str) -> bool:
        return self._name(name) in self._tensors

    def get(self, name: str) -> Floats:
        tensor = self._find(name)
        values = np.asarray(gguf.quants.dequantize(tensor.data, tensor.tensor_type), np.float32)
        shape = tuple(int(size) for size in reversed(tensor.shape))
        floats: Floats = self._in_order(name, values.reshape(shape))
        return floats

    def blocks(self, name: str) -> Quantized | None:
        tensor = self._find(name)
        if tensor.tensor_type not in _KEPT or len(tensor.shape) != 2:
            return None
        columns, rows = (int(size) for size in tensor.shape)
        raw = np.asarray(tensor.data, np.uint8).reshape(rows, columns // _BLOCK, -1)
        scales = self._in_order(name, raw[:, :, :2].copy().view(np.float16)[:, :, 0].astype(np.float32))
        values = self._in_order(name, raw[:, :, 2:])
        if tensor.tensor_type == Kind.Q8_0:
            return Quantized(np.ascontiguousarray(values ^ np.uint8(128)), scales, 8, _BLOCK, columns)
        # A byte holds numbers i and i + 16 of its block there, and i and i + 1 here.
        numbers = np.concatenate([values & 15, values >> 4], axis=2)
        return Quantized(numbers[:, :, 0::2] | (numbers[:, :, 1::2] << 4), scales, 4, _BLOCK, columns)

    def rounded_already(self, name: str) -> bool:
        return self._find(name).tensor_type not in _PLAIN

    def ignore(self, name: str) -> None:
        self._taken.add(self._name(name))

    def left(self) -> list[str]:
        return sorted(set(self._tensors) - self._taken)

    def _find(self, name: str) -> gguf.gguf_reader.ReaderTensor:
        own = self._name(name)
        if own not in self._tensors:
            raise Unknown(f"The GGUF file has no tensor {own}, which this family needs.")
        self._taken.add(own)
        return self._tensors[own]

    @staticmethod
    def _name(name: str) -> str:
        if name in _OUTER:
            return _OUTER[name]
        _, _, layer, *middle, last = name.split(".")
        return f"blk.{layer}.{_IN_LAYER.get('.'.join(middle), '.'.join(middle))}.{last}"

    def _in_order(self, name: str, rows: Any) -> Any:
        """GGUF has the rows of queries and keys of Llama in pairs (0, half, 1, half + 1, …); ours are first
        halves, then second."""
        if self._geometry.family != "llama" or name.split(".")[-2] not in ("q_proj", "k_proj"):
            return rows
        half = self._geometry.head_size // 2
        return rows.reshape(-1, half, 2, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)
