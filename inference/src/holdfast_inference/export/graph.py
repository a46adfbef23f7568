# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""The network as an ONNX graph for packed steps.

All rows' new tokens come as [1, T], slot after slot. Everything but attention treats them alike; before attention they
are split by slot, since the CPU's attention takes several new tokens with a past for one row only, and each slot's node
reads and writes that slot's own KV buffer in place. A slot without new tokens still needs one row there: `attended`
names, for each row that the attention nodes see, the row of the step it is (any row will do for an empty slot), and
`returned` the way back.

Inputs    tokens [1, T], wanted [R]: the rows to have logits of
          attended [A], split [slots], returned [T]: not with one slot
          past_length.S [1] and total_length.S []: tokens of slot S with this step, less one, and as they are
          key.L.S, value.L.S [1, kv_heads, positions, head_size]
Outputs   logits [1, R, vocabulary]; of a model that embeds, the normed states [1, R, hidden] instead
          new_key.L.S, new_value.L.S: to be bound to the buffers of the inputs
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from .. import __version__
from .families import Geometry
from .weight_file import Stored

_MICROSOFT = "com.microsoft"
RAISED = 1
"""The accuracy level of a product that does not round its input."""


@dataclass(frozen=True)
class Linear:
    """A product with weights [outputs, inputs]: in blocks (`scales`), or as float32 [inputs, outputs]."""

    weights: Stored
    scales: Stored | None
    bias: Stored | None
    bits: int
    block: int
    inputs: int
    outputs: int


@dataclass(frozen=True)
class Layer:
    norm: Stored
    qkv: Linear
    q_norm: Stored | None
    k_norm: Stored | None
    output: Linear
    mlp_norm: Stored
    gate_up: Linear
    down: Linear
    after_attention: Stored | None = None
    after_mlp: Stored | None = None
    """Norms behind both, before they are added to the stream."""


@dataclass(frozen=True)
class Network:
    """All parts, as they lie in the weight file."""

    embedding: Stored
    embedding_scales: Stored | None
    layers: Sequence[Layer]
    norm: Stored
    head: Linear | None
    """None: the states themselves are what is wanted."""
    cosines: Stored
    sines: Stored
    kv_scales: Sequence[tuple[Stored, Stored]] | None
    """For each layer those of keys and values; None keeps KV as float32."""
    local_turns: tuple[Stored, Stored] | None = None
    """Cosines and sines of layers with a window, where they turn otherwise."""


class _Builder:
    def __init__(
        self, geometry: Geometry, network: Network, slots: int, accuracy_level: int, raised: Collection[str]
    ) -> None:
        self.raised = raised
        self.geometry, self.network, self.slots, self.accuracy_level = geometry, network, slots, accuracy_level
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: dict[str, onnx.TensorProto] = {}
        self.inputs: list[onnx.ValueInfoProto] = []
        self.outputs: list[onnx.ValueInfoProto] = []
        self.kv_type = TensorProto.FLOAT if network.kv_scales is None else TensorProto.INT8

    # -- small words ------------------------------------------------------------------------------------------------
    def node(self, kind: str, inputs: Sequence[str], output: str, *, domain: str = "", **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, list(inputs), [output], name=output, domain=domain, **attributes))
        return output

    def use(self, stored: Stored | None) -> str:
        if stored is None:
            return ""
        self.initializers.setdefault(stored.name, stored.initializer())
        return stored.name

    def constant(self, name: str, values: Sequence[int]) -> str:
        """Shapes must be inside the graph: the runtime reads them before it maps the weights."""
        if name not in self.initializers:
            self.initializers[name] = numpy_helper.from_array(np.array(values, np.int64), name)
        return name

    def number(self, name: str, value: float) -> str:
        if name not in self.initializers:
            self.initializers[name] = numpy_helper.from_array(np.array(value, np.float32), name)
        return name

    def scaled(self, name: str, value: str, factor: float) -> str:
        return value if factor == 1.0 else self.node("Mul", [value, self.number(name + ".factor", factor)], name)

    def input(self, name: str, dtype: int, shape: Sequence[int | str]) -> str:
        self.inputs.append(helper.make_tensor_value_info(name, dtype, shape))
        return name

    def output(self, name: str, dtype: int, shape: Sequence[int | str]) -> str:
        self.outputs.append(helper.make_tensor_value_info(name, dtype, shape))
        return name

    def linear(self, name: str, value: str, part: Linear) -> str:
        if part.scales is not None:
            inputs = [value, self.use(part.weights), self.use(part.scales)]
            if part.bias is not None:
                inputs += ["", "", self.use(part.bias)]
            return self.node(
                "MatMulNBits",
                inputs,
                name,
                domain=_MICROSOFT,
                K=part.inputs,
                N=part.outputs,
                bits=part.bits,
                block_size=part.block,
                accuracy_level=RAISED if name in self.raised else self.accuracy_level,
            )
        if part.bias is None:
            return self.node("MatMul", [value, self.use(part.weights)], name)
        product = self.node("MatMul", [value, self.use(part.weights)], name + ".product")
        return self.node("Add", [product, self.use(part.bias)], name)

    def norm(self, name: str, value: str, weight: Stored) -> str:
        epsilon = self.geometry.norm_epsilon
        return self.node("SimplifiedLayerNormalization", [value, self.use(weight)], name, epsilon=epsilon, axis=-1)

    def add_and_norm(self, name: str, value: str, more: str, weight: Stored) -> tuple[str, str]:
        """The norm of the sum, and the sum."""
        self.nodes.append(
            helper.make_node(
                "SkipSimplifiedLayerNormalization",
                [value, more, self.use(weight)],
                [name, "", "", name + ".sum"],
                name=name,
                domain=_MICROSOFT,
                epsilon=self.geometry.norm_epsilon,
            )
        )
        return name, name + ".sum"

    # -- the network ------------------------------------------------------------------------------------------------
    def embed(self) -> str:
        tokens = self.input("tokens", TensorProto.INT64, [1, "T"])
        table, scales = self.network.embedding, self.network.embedding_scales
        if scales is None:
            found = self.node("Gather", [self.use(table), tokens], "embedded", axis=0)
            return self.scaled("embedded.scaled", found, self.geometry.embedding_scale)
        found = self.node(
            "GatherBlockQuantized",
            [self.use(table), tokens, self.use(scales)],
            "embedded",
            domain=_MICROSOFT,
            bits=8,
            block_size=table.shape[1] // scales.shape[1],
            gather_axis=0,
            quantize_axis=1,
        )
        return self.scaled("embedded.scaled", found, self.geometry.embedding_scale)

    def normed_heads(self, index: int, qkv: str, layer: Layer) -> str:
        """Qwen3 norms each head of queries and keys before they are turned."""
        if layer.q_norm is None or layer.k_norm is None:
            return qkv
        shape, name = self.geometry, f"layer.{index}."
        parts = [name + "q", name + "k", name + "v"]
        sizes = self.constant("qkv_sizes", [shape.query_size, shape.kv_size, shape.kv_size])
        self.nodes.append(helper.make_node("Split", [qkv, sizes], parts, name=name + "qkv_split", axis=2))
        by_head = self.constant("by_head", [1, -1, shape.head_size])
        normed = []
        for part, weight, size in ((parts[0], layer.q_norm, shape.query_size), (parts[1], layer.k_norm, shape.kv_size)):
            heads = self.node("Reshape", [part, by_head], part + ".heads")
            back = self.constant(f"by_row_{size}", [1, -1, size])
            normed.append(self.node("Reshape", [self.norm(part + ".normed", heads, weight), back], part + ".rows"))
        return self.node("Concat", [*normed, parts[2]], name + "qkv_normed", axis=2)

    def attend(self, index: int, qkv: str) -> str:
        name = f"layer.{index}."
        if self.slots == 1:
            return self.attend_slot(index, 0, qkv, name + "attended")
        parts = [f"{name}qkv.{slot}" for slot in range(self.slots)]
        seen = self.node("Gather", [qkv, "attended"], name + "qkv_seen", axis=1)
        self.nodes.append(helper.make_node("Split", [seen, "split"], parts, name=name + "slots_split", axis=1))
        done = [self.attend_slot(index, slot, part, f"{name}attended.{slot}") for slot, part in enumerate(parts)]
        joined = self.node("Concat", done, name + "attended_joined", axis=1)
        return self.node("Gather", [joined, "returned"], name + "attended", axis=1)

    def attend_slot(self, index: int, slot: int, qkv: str, name: str) -> str:
        shape, where = self.geometry, f"{index}.{slot}"
        buffer: list[int | str] = [1, shape.kv_heads, "positions", shape.head_size]
        past = [self.input(f"{word}.{where}", self.kv_type, buffer) for word in ("key", "value")]
        new = [self.output(f"new_{word}.{where}", self.kv_type, buffer) for word in ("key", "value")]
        window = shape.window_of(index)
        tables = (self.network.cosines, self.network.sines)
        if window is not None and self.network.local_turns is not None:
            tables = self.network.local_turns
        turns = [self.use(table) for table in tables]
        inputs = [qkv, "", "", *past, f"past_length.{slot}", f"total_length.{slot}", *turns]
        attributes: dict[str, Any] = {
            "num_heads": shape.heads,
            "kv_num_heads": shape.kv_heads,
            "do_rotary": 1,
            "local_window_size": window or -1,
        }
        if shape.attention_scale is not None:
            attributes["scale"] = shape.attention_scale
        if shape.attention_cap is not None:
            attributes["softcap"] = shape.attention_cap
        if self.network.kv_scales is not None:
            keys, values = self.network.kv_scales[index]
            inputs += ["", "", "", self.use(keys), self.use(values)]
            attributes |= {"k_quant_type": "PER_CHANNEL", "v_quant_type": "PER_CHANNEL", "kv_cache_bit_width": 8}
        self.nodes.append(
            helper.make_node("GroupQueryAttention", inputs, [name, *new], name=name, domain=_MICROSOFT, **attributes)
        )
        return name

    def mlp(self, index: int, value: str, layer: Layer) -> str:
        name = f"layer.{index}."
        both = self.linear(name + "gate_up", value, layer.gate_up)
        halves = self.constant("gate_up_sizes", [self.geometry.intermediate] * 2)
        parts = [name + "gate", name + "up"]
        self.nodes.append(helper.make_node("Split", [both, halves], parts, name=name + "gate_up_split", axis=2))
        if self.geometry.gelu:
            gate = self.node("Gelu", [parts[0]], name + "gated", approximate="tanh")
        else:
            # SiLU: the runtime's QuickGelu with its slope at 1.
            gate = self.node("QuickGelu", [parts[0]], name + "gated", domain=_MICROSOFT, alpha=1.0)
        return self.linear(name + "down", self.node("Mul", [gate, parts[1]], name + "mlp"), layer.down)

    def draw(self, name: str, rows: str, head: Linear) -> None:
        """Logits, bent below a cap where the family has one."""
        cap = self.geometry.logit_cap
        if cap is None:
            self.linear(name, rows, head)
            return
        found = self.scaled("logits.small", self.linear("logits.uncapped", rows, head), 1.0 / cap)
        self.node("Mul", [self.node("Tanh", [found], "logits.bent"), self.number("logits.cap", cap)], name)

    def build(self) -> onnx.ModelProto:
        stream = self.embed()
        if self.slots > 1:
            self.input("attended", TensorProto.INT64, ["A"])
            self.input("split", TensorProto.INT64, [self.slots])
            self.input("returned", TensorProto.INT64, ["T"])
        self.input("wanted", TensorProto.INT64, ["R"])
        for slot in range(self.slots):
            self.input(f"past_length.{slot}", TensorProto.INT32, [1])
            self.input(f"total_length.{slot}", TensorProto.INT32, [])
        head = self.network.head
        width = self.geometry.hidden if head is None else self.geometry.vocabulary
        logits = self.output("logits", TensorProto.FLOAT, [1, "R", width])
        more = ""
        for index, layer in enumerate(self.network.layers):
            name = f"layer.{index}."
            if more:
                normed, stream = self.add_and_norm(name + "norm", stream, more, layer.norm)
            else:
                normed = self.norm(name + "norm", stream, layer.norm)
            qkv = self.normed_heads(index, self.linear(name + "qkv", normed, layer.qkv), layer)
            attended = self.linear(name + "output", self.attend(index, qkv), layer.output)
            if layer.after_attention is not None:
                attended = self.norm(name + "after_attention", attended, layer.after_attention)
            normed, stream = self.add_and_norm(name + "mlp_norm", stream, attended, layer.mlp_norm)
            more = self.mlp(index, normed, layer)
            if layer.after_mlp is not None:
                more = self.norm(name + "after_mlp", more, layer.after_mlp)
        normed, _ = self.add_and_norm("norm", stream, more, self.network.norm)
        rows = self.node("Gather", [normed, "wanted"], logits if head is None else "wanted_rows", axis=1)
        if head is not None:
            self.draw(logits, rows, head)
        graph = helper.make_graph(
            self.nodes, self.geometry.family, self.inputs, self.outputs, list(self.initializers.values())
        )
        return helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", 20), helper.make_opsetid(_MICROSOFT, 1)],
            ir_version=10,
            producer_name="holdfast-inference",
            producer_version=__version__,
        )


def build_graph(
    geometry: Geometry, network: Network, *, slots: int, accuracy_level: int, raised: Collection[str] = ()
) -> onnx.ModelProto:
    """The graph that serves `slots` requests at a time. The products named in `raised` round nothing."""
    return _Builder(geometry, network, slots, accuracy_level, raised).build()
