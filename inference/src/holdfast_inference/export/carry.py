# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""Carries the tensors of a source into the weight file, one after the other, in the precision of the recipe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..model_folder import SPARE_POSITIONS
from . import Unknown, gptq
from .calibrate import CARRIED
from .families import Geometry
from .gptq import Inputs
from .graph import Layer, Linear, Network
from .quantize import Floats, Quantized, quantize
from .recipe import Recipe
from .source import SourceTensors
from .weight_file import Stored, WeightFile


@dataclass
class Count:
    """Parameters and the bits that keep them, scales included."""

    parameters: int = 0
    bits: int = 0

    def add(self, parameters: int, *parts: Stored | None) -> None:
        self.parameters += parameters
        self.bits += 8 * sum(part.length for part in parts if part is not None)

    def bits_each(self) -> float:
        return self.bits / self.parameters


class Carrier:
    def __init__(
        self,
        tensors: SourceTensors,
        geometry: Geometry,
        recipe: Recipe,
        file: WeightFile,
        inputs: Inputs | None = None,
    ) -> None:
        self.tensors, self.geometry, self.recipe, self.file, self.inputs = tensors, geometry, recipe, file, inputs
        self.count = Count()
        self.kept = 0
        """Tensors whose rounded numbers are those of the source."""

    def carry(self) -> Network:
        """Everything but the KV scales. Unknown if the source holds a tensor that nobody asked for."""
        shape = self.geometry
        embedding, scales, head = self._embedding_and_head()
        layers = [self._layer(index) for index in range(shape.layers)]
        positions = shape.context + SPARE_POSITIONS
        cosines, sines = shape.rotary_tables(positions)
        network = Network(
            embedding=embedding,
            embedding_scales=scales,
            layers=layers,
            norm=self._vector("norm.weight", "model.norm.weight", shape.hidden),
            head=head,
            cosines=self.file.add("cosines", cosines),
            sines=self.file.add("sines", sines),
            kv_scales=None,
            local_turns=self._local_turns(positions),
        )
        for index in range(shape.layers):
            self.tensors.ignore(f"model.layers.{index}.self_attn.rotary_emb.inv_freq")
            for part in ("k", "v"):
                self.tensors.ignore(CARRIED.format(layer=index, part=part))
        left = self.tensors.left()
        if left:
            more = f" and {len(left) - 3} more" if len(left) > 3 else ""
            raise Unknown(
                f"The weights hold tensors that {shape.family} is not known to have: {', '.join(left[:3])}{more}."
            )
        return network

    def add_kv_scales(self, scales: Sequence[tuple[Floats, Floats]]) -> list[tuple[Stored, Stored]]:
        return [
            (self.file.add(f"layer.{index}.key_scale", keys), self.file.add(f"layer.{index}.value_scale", values))
            for index, (keys, values) in enumerate(scales)
        ]

    def _local_turns(self, positions: int) -> tuple[Stored, Stored] | None:
        if self.geometry.local_rope_theta is None:
            return None
        cosines, sines = self.geometry.rotary_tables(positions, local=True)
        return self.file.add("local_cosines", cosines), self.file.add("local_sines", sines)

    def _vector(self, name: str, source: str, size: int) -> Stored:
        """The weights of a norm."""
        values = self.tensors.get(source)
        self._check(source, values, size)
        if self.geometry.norm_offset:
            values = values + np.float32(self.geometry.norm_offset)
        stored = self.file.add(name, values)
        self.count.add(values.size, stored)
        return stored

    @staticmethod
    def _check(source: str, values: Floats, *shape: int) -> None:
        if values.shape != shape:
            raise Unknown(f"{source} has the shape {list(values.shape)} where config.json asks for {list(shape)}.")
        if not np.isfinite(values).all():
            raise Unknown(f"{source} holds numbers that are not finite.")

    def _embedding_and_head(self) -> tuple[Stored, Stored | None, Linear | None]:
        shape, source = self.geometry, "model.embed_tokens.weight"
        if shape.tied or shape.embeds:
            self.tensors.ignore("lm_head.weight")
        head = [(source if shape.tied else "lm_head.weight", shape.vocabulary)]
        if self.recipe.head_bits() == 32:
            table = self._floats([(source, shape.vocabulary)], shape.hidden)
            embedding = self.file.add("embedding", table)
            self.count.add(table.size, embedding)
            if shape.embeds:
                return embedding, None, None
            return embedding, None, self._linear("head", self._floats(head, shape.hidden), None, counted=not shape.tied)
        quantized = self._quantized("embedding", [(source, shape.vocabulary)], shape.hidden, 8).widened()
        if shape.hidden % quantized.block:
            raise Unknown(f"A hidden size of {shape.hidden} does not divide into blocks of {quantized.block}.")
        embedding = self.file.add("embedding", quantized.packed.reshape(shape.vocabulary, shape.hidden))
        scales = self.file.add("embedding.scales", quantized.scales)
        self.count.add(shape.vocabulary * shape.hidden, embedding, scales)
        if shape.embeds:
            return embedding, scales, None
        if not shape.tied:
            return embedding, scales, self._linear("head", self._quantized("head", head, shape.hidden, 8), None)
        # The very same bytes, seen by the product at the end as blocks.
        seen = embedding.seen_as("head.weights", *quantized.packed.shape)
        head_scales = scales.seen_as("head.scales", *scales.shape)
        return embedding, scales, Linear(seen, head_scales, None, 8, quantized.block, shape.hidden, shape.vocabulary)

    def _floats(self, sources: Sequence[tuple[str, int]], inputs: int) -> Floats:
        """Several tensors with the same inputs, one below the other."""
        parts = []
        for source, outputs in sources:
            weights = self.tensors.get(source)
            self._check(source, weights, outputs, inputs)
            parts.append(weights)
        return np.concatenate(parts)

    def _quantized(self, name: str, sources: Sequence[tuple[str, int]], inputs: int, bits: int) -> Quantized:
        """The same in blocks: those of the source where it has them, else by the recipe."""
        kept = [self.tensors.blocks(source) for source, _ in sources]
        parts = [part for part in kept if part is not None]
        if len(parts) < len(sources):
            if any(self.tensors.rounded_already(source) for source, _ in sources):
                bits = 8
            block = self.recipe.block if bits == 4 else min(self.recipe.block, 64)
            weights = self._floats(sources, inputs)
            if bits == 4 and self.inputs is not None and inputs % block == 0:
                return gptq.rounded(weights, self.inputs.together(name), block=block)
            # Where data cannot help, GPTQ falls back to the best that needs none.
            method = "rtn" if bits == 8 else "hqq" if self.recipe.method == "gptq" else self.recipe.method
            return quantize(weights, bits=bits, block=block, method=method)
        for (source, outputs), part in zip(sources, parts, strict=True):
            self._check(source, part.scales, outputs, inputs // part.block)
        self.kept += len(parts)
        if len({part.bits for part in parts}) > 1:
            parts = [part.widened() for part in parts]
        packed, scales = np.concatenate([p.packed for p in parts]), np.concatenate([p.scales for p in parts])
        return Quantized(packed, scales, parts[0].bits, parts[0].block, inputs)

    def _linear(self, name: str, weights: Floats | Quantized, bias: Floats | None, *, counted: bool = True) -> Linear:
        stored_bias = None if bias is None else self.file.add(name + ".bias", bias)
        if isinstance(weights, Quantized):
            stored = self.file.add(name + ".weights", weights.packed)
            scales = self.file.add(name + ".scales", weights.scales)
            bits, block, outputs, inputs = weights.bits, weights.block, len(weights.packed), weights.columns
        else:
            stored, scales = self.file.add(name + ".weights", weights.T), None
            bits, block, (outputs, inputs) = 32, 0, weights.shape
        if counted:
            self.count.add(outputs * inputs + (0 if bias is None else bias.size), stored, scales, stored_bias)
        return Linear(stored, scales, stored_bias, bits, block, inputs, outputs)

    def _product(self, name: str, sources: Sequence[tuple[str, int]], inputs: int, bits: int) -> Linear:
        """Several products with the same input as one."""
        named = [(source + ".weight", outputs) for source, outputs in sources]
        weights = self._floats(named, inputs) if bits == 32 else self._quantized(name, named, inputs, bits)
        biases = []
        for source, outputs in sources:
            bias = np.zeros(outputs, np.float32)
            if source + ".bias" in self.tensors:
                bias = self.tensors.get(source + ".bias")
                self._check(source + ".bias", bias, outputs)
            biases.append(bias)
        has_bias = any(source + ".bias" in self.tensors for source, _ in sources)
        return self._linear(name, weights, np.concatenate(biases) if has_bias else None)

    def _layer(self, index: int) -> Layer:
        shape, bits = self.geometry, self.recipe.bits()
        name, source = f"layer.{index}.", f"model.layers.{index}."
        query, kv = shape.query_size, shape.kv_size
        heads = [(source + f"self_attn.{part}_proj", size) for part, size in (("q", query), ("k", kv), ("v", kv))]
        gates = [(source + f"mlp.{part}_proj", shape.intermediate) for part in ("gate", "up")]
        down_bits = self.recipe.down_bits(index, shape.layers)
        # With norms behind attention and MLP, the one before the MLP has another name.
        before_mlp = "pre_feedforward_layernorm" if shape.post_norms else "post_attention_layernorm"
        return Layer(
            norm=self._vector(name + "norm.weight", source + "input_layernorm.weight", shape.hidden),
            qkv=self._product(name + "qkv", heads, shape.hidden, bits),
            q_norm=self._head_norm(index, "q"),
            k_norm=self._head_norm(index, "k"),
            output=self._product(name + "output", [(source + "self_attn.o_proj", shape.hidden)], query, bits),
            mlp_norm=self._vector(name + "mlp_norm.weight", f"{source}{before_mlp}.weight", shape.hidden),
            gate_up=self._product(name + "gate_up", gates, shape.hidden, bits),
            down=self._product(
                name + "down", [(source + "mlp.down_proj", shape.hidden)], shape.intermediate, down_bits
            ),
            after_attention=self._norm_behind(index, "attention"),
            after_mlp=self._norm_behind(index, "feedforward"),
        )

    def _norm_behind(self, index: int, part: str) -> Stored | None:
        if not self.geometry.post_norms:
            return None
        source = f"model.layers.{index}.post_{part}_layernorm.weight"
        return self._vector(f"layer.{index}.after_{part}.weight", source, self.geometry.hidden)

    def _head_norm(self, index: int, part: str) -> Stored | None:
        if not self.geometry.qk_norm:
            return None
        source = f"model.layers.{index}.self_attn.{part}_norm.weight"
        return self._vector(f"layer.{index}.{part}_norm.weight", source, self.geometry.head_size)
