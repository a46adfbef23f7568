# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""The families of models that are known here, and what their config.json means.

Everything in a configuration that changes the mathematics is either carried over or refused by name; a model that would
run and answer slightly wrong is worse than one that is refused.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import Unknown, gemma

ARCHITECTURES = {
    "LlamaForCausalLM": "llama",
    "MistralForCausalLM": "mistral",
    "Qwen2ForCausalLM": "qwen2",
    "Qwen3ForCausalLM": "qwen3",
    "Gemma2ForCausalLM": "gemma2",
    "Gemma3ForCausalLM": "gemma3",
}
# The same networks without a head, of which embeddings are made.
HEADLESS = {name.replace("ForCausalLM", "Model"): family for name, family in ARCHITECTURES.items()}


@dataclass(frozen=True)
class Geometry:
    """The numbers that shape the network."""

    family: str
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_size: int
    intermediate: int
    vocabulary: int
    context: int
    norm_epsilon: float
    rope_theta: float
    rope_scaling: Mapping[str, Any]
    window: int | None
    tied: bool
    qk_norm: bool
    eos_ids: tuple[int, ...]
    embeds: bool = False
    """It makes a vector of a text, which is the state of its last token, and draws nothing."""
    # What only Gemma has (gemma.py).
    gelu: bool = False
    embedding_scale: float = 1.0
    norm_offset: float = 0.0
    post_norms: bool = False
    attention_scale: float | None = None
    attention_cap: float | None = None
    logit_cap: float | None = None
    windows: tuple[int | None, ...] = ()
    local_rope_theta: float | None = None

    def window_of(self, layer: int) -> int | None:
        return self.windows[layer] if self.windows else self.window

    @property
    def query_size(self) -> int:
        return self.heads * self.head_size

    @property
    def kv_size(self) -> int:
        return self.kv_heads * self.head_size

    def rotary_frequencies(self, *, local: bool = False) -> NDArray[np.float64]:
        """Radians a position for each pair of channels; `local`: in layers with a window that turn otherwise."""
        half = self.head_size // 2
        if local and self.local_rope_theta is not None:
            return self.local_rope_theta ** -(np.arange(half, dtype=np.float64) / half)
        plain = self.rope_theta ** -(np.arange(half, dtype=np.float64) / half)
        kind = self.rope_scaling.get("rope_type", "default")
        if kind == "default":
            return plain
        if kind == "divisors":
            return plain / np.array(self.rope_scaling["divisors"], np.float64)
        factor = float(self.rope_scaling["factor"])
        if kind == "linear":
            return plain / factor
        return _stretch_low_frequencies(plain, factor, self.rope_scaling)

    def rotary_tables(self, positions: int, *, local: bool = False) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        angles = np.arange(positions, dtype=np.float64)[:, None] * self.rotary_frequencies(local=local)[None, :]
        return np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)


def _stretch_low_frequencies(
    plain: NDArray[np.float64], factor: float, scaling: Mapping[str, Any]
) -> NDArray[np.float64]:
    """Llama 3.1's way to a longer context: long waves are stretched, short ones stay, those between blend."""
    low, high = float(scaling["low_freq_factor"]), float(scaling["high_freq_factor"])
    turns = float(scaling["original_max_position_embeddings"]) * plain / (2 * math.pi)
    kept = np.clip((turns - low) / (high - low), 0.0, 1.0)
    return kept * plain + (1 - kept) * plain / factor


def _rope(config: Mapping[str, Any]) -> tuple[float, dict[str, Any]]:
    """Older configurations say rope_theta and rope_scaling, newer ones rope_parameters with both."""
    parameters = dict(config.get("rope_parameters") or config.get("rope_scaling") or {})
    theta = float(parameters.pop("rope_theta", config.get("rope_theta", 10000.0)))
    kind = parameters.pop("rope_type", parameters.pop("type", "default"))
    if kind not in ("default", "linear", "llama3"):
        raise Unknown(f"Rotary scaling {kind!r} is not known here; default, linear and llama3 are.")
    needed = {
        "default": (),
        "linear": ("factor",),
        "llama3": ("factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"),
    }[kind]
    for key in needed:
        if key not in parameters:
            raise Unknown(f"Rotary scaling {kind!r} comes without {key}.")
    if float(config.get("partial_rotary_factor", parameters.get("partial_rotary_factor", 1.0))) != 1.0:
        raise Unknown("partial_rotary_factor other than 1 is not known here.")
    return theta, {"rope_type": kind, **{key: parameters[key] for key in needed}}


def _window(family: str, config: Mapping[str, Any]) -> int | None:
    window = config.get("sliding_window")
    if family in gemma.FAMILIES:
        return None
    if family in ("qwen2", "qwen3"):
        if not config.get("use_sliding_window", False):
            return None
        raise Unknown("use_sliding_window of Qwen (some layers with a window, some without) is not known here.")
    kinds = set(config.get("layer_types") or ())
    if kinds and kinds != ({"sliding_attention"} if window else {"full_attention"}):
        raise Unknown(f"layer_types {sorted(kinds)} with sliding_window {window!r} is not known here.")
    return int(window) if window and family == "mistral" else None


def _eos_ids(folder: Path, config: Mapping[str, Any]) -> tuple[int, ...]:
    found = config.get("eos_token_id")
    path = folder / "generation_config.json"
    if path.is_file():
        found = json.loads(path.read_text(encoding="utf-8")).get("eos_token_id", found)
    if found is None:
        return ()
    return tuple(int(item) for item in found) if isinstance(found, list) else (int(found),)


def _embeds(folder: Path, architecture: str) -> bool:
    """Whether the folder is of a model that embeds, as Sentence Transformers lay it out; Unknown if in another way
    than by its last token."""
    path = folder / "1_Pooling" / "config.json"
    if not path.is_file():
        if architecture in HEADLESS:
            raise Unknown(
                f"{architecture} has no head to draw with, and no 1_Pooling/config.json says how it would embed."
            )
        return False
    told: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    modes = [name.removeprefix("pooling_mode_") for name, value in told.items() if value is True and "mode" in name]
    modes = [told["pooling_mode"]] if "pooling_mode" in told else modes
    if modes != ["lasttoken"]:
        raise Unknown(f"Pooling by {', '.join(map(str, modes)) or 'nothing'} is not known here; by the last token is.")
    modules = folder / "modules.json"
    entries = json.loads(modules.read_text(encoding="utf-8")) if modules.is_file() else []
    kinds = {str(entry["type"]).rpartition(".")[2] for entry in entries}
    if kinds - {"Transformer", "Pooling", "Normalize"}:
        raise Unknown(
            f"The modules {', '.join(sorted(kinds))} are not all known here; Transformer, Pooling and Normalize are."
        )
    return True


def read_geometry(folder: Path, *, context: int | None = None) -> Geometry:
    """What config.json says, or Unknown with the part that is not known."""
    path = folder / "config.json"
    if not path.is_file():
        raise Unknown(f"{folder} has no config.json; a folder as Hugging Face lays it out is expected.")
    try:
        config: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return _geometry_of(folder, config, context)
    except ValueError as error:
        raise Unknown(f"{path} cannot be read: {error}.") from None
    except KeyError as missing:
        raise Unknown(f"{path} does not say {missing}, without which this family is not known.") from None


def _geometry_of(folder: Path, config: dict[str, Any], context: int | None) -> Geometry:
    architectures = config.get("architectures") or []
    architecture = architectures[0] if len(architectures) == 1 else ""
    family = (ARCHITECTURES | HEADLESS).get(architecture)
    if family is None:
        known = ", ".join(ARCHITECTURES)
        raise Unknown(f"Architecture {', '.join(architectures) or 'without a name'} is not known here; {known} are.")
    is_gemma = family in gemma.FAMILIES
    wanted = gemma.ACTIVATION if is_gemma else "silu"
    activation = config.get("hidden_activation") or config.get("hidden_act") or wanted
    if activation != wanted:
        raise Unknown(f"hidden_act {activation!r} is not known for {family}; {wanted} is.")
    if config.get("quantization_config"):
        raise Unknown(
            "The source is quantized already (quantization_config); export starts from F32, F16 or BF16 weights."
        )
    if int(config.get("pretraining_tp", 1)) != 1:
        raise Unknown("pretraining_tp other than 1 is not known here.")
    if config.get("is_causal") is False or config.get("use_bidirectional_attention"):
        raise Unknown("Attention to later tokens (is_causal false) is not known here.")
    heads, hidden = int(config["num_attention_heads"]), int(config["hidden_size"])
    rope, local_theta = gemma.rope_of(family, config) if is_gemma else (config, None)
    theta, scaling = _rope(rope)
    longest = int(config["max_position_embeddings"])
    geometry = Geometry(
        family=family,
        layers=int(config["num_hidden_layers"]),
        hidden=hidden,
        heads=heads,
        kv_heads=int(config.get("num_key_value_heads") or heads),
        head_size=int(config.get("head_dim") or hidden // heads),
        intermediate=int(config["intermediate_size"]),
        vocabulary=int(config["vocab_size"]),
        context=min(longest, context) if context else longest,
        norm_epsilon=float(config.get("rms_norm_eps", 1e-6)),
        rope_theta=theta,
        rope_scaling=scaling,
        window=_window(family, config),
        tied=bool(config.get("tie_word_embeddings", is_gemma)),
        qk_norm=family in ("qwen3", "gemma3"),
        eos_ids=_eos_ids(folder, config),
        embeds=_embeds(folder, architecture),
        local_rope_theta=local_theta,
        **(gemma.peculiarities(family, config) if is_gemma else {}),
    )
    if geometry.head_size % 8 or geometry.heads % geometry.kv_heads:
        raise Unknown(
            f"{geometry.heads} heads of {geometry.head_size} over {geometry.kv_heads} KV heads: the head size must be "
            "a multiple of 8 and the heads one of the KV heads."
        )
    return geometry
