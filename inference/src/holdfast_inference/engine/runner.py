# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""Computes packed steps: new tokens of several slots in, logits of the wanted rows out, KV kept in each slot's
own buffer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from ..model_folder import SPARE_POSITIONS, Card
from .plan import Plan, logit_rows

Logits = NDArray[np.float32]


@dataclass(frozen=True)
class Rows:
    """What one slot has new in a step: tokens that follow those it has, and for how many of the last ones
    logits are wanted."""

    slot: int
    tokens: Sequence[int]
    wanted: int = 0


@dataclass(frozen=True)
class Providers:
    """Where it computes: onnxruntime's execution providers by name, with their options, best first."""

    names: tuple[str, ...] = ("CPUExecutionProvider",)
    options: tuple[dict[str, str], ...] = ({},)


class Runner:
    """One session. Not for two threads at a time."""

    def __init__(
        self,
        folder: Path,
        card: Card,
        plan: Plan,
        *,
        threads: int,
        providers: Providers | None = None,
        graph: Path | None = None,
    ) -> None:
        """`graph`: another one than the folder's, that computes the same."""
        self.card, self.plan = card, plan
        self.quantum = 1
        self.lengths = [0] * plan.slots
        self.positions = plan.context + SPARE_POSITIONS
        self._session = _open_session(graph or folder / card.graphs[plan.slots], threads, providers or Providers())
        kind: type[Any] = np.int8 if card.kv == "int8" else np.float32
        shape = (plan.slots, card.layers, 2, card.kv_heads, self.positions, card.head_size)
        self.kv: NDArray[Any] = np.zeros(shape, kind)
        self._logits = np.zeros((1, logit_rows(plan.slots), card.output_size()), np.float32)
        self._past = [np.zeros(1, np.int32) for _ in range(plan.slots)]
        self._total = [np.zeros((), np.int32) for _ in range(plan.slots)]
        self._binding = self._session.io_binding()
        self._kept: list[Any] = []
        self._bind_buffers()

    def step(self, rows: Sequence[Rows]) -> list[Logits]:
        """Computes the rows together and returns for each the logits [wanted, vocabulary], valid until the next
        step. The slots are then longer by their tokens; `keep` takes back what turned out to be a wrong guess."""
        ordered = sorted(rows, key=lambda item: item.slot)
        tokens: list[int] = []
        wanted: list[int] = []
        counts = [0] * self.plan.slots
        for item in ordered:
            if counts[item.slot] or not item.tokens or self.lengths[item.slot] + len(item.tokens) > self.positions:
                raise ValueError(f"slot {item.slot} cannot take {len(item.tokens)} tokens at {self.lengths[item.slot]}")
            tokens += item.tokens
            counts[item.slot] = len(item.tokens)
            wanted += range(len(tokens) - item.wanted, len(tokens))
        padding = -len(tokens) % self.quantum
        tokens += tokens[-1:] * padding
        widths = list(counts)
        widths[ordered[-1].slot] += padding
        seen = len(wanted)
        wanted = wanted or [len(tokens) - 1]
        wanted += wanted[-1:] * (-len(wanted) % self.quantum)
        self._bind_step(tokens, wanted, widths)
        self._session.run_with_iobinding(self._binding)
        for slot, count in enumerate(counts):
            self.lengths[slot] += count
        logits = self._logits[0, :seen]
        by_slot: dict[int, Logits] = {}
        begin = 0
        for item in ordered:
            by_slot[item.slot] = logits[begin : begin + item.wanted]
            begin += item.wanted
        return [by_slot[item.slot] for item in rows]

    def keep(self, slot: int, length: int) -> None:
        """The slot has only its first `length` tokens; what lies behind them will be written over."""
        if not 0 <= length <= self.lengths[slot]:
            raise ValueError(f"slot {slot} has {self.lengths[slot]} tokens, not {length}")
        self.lengths[slot] = length

    def pretend(self, slot: int, length: int, seed: int) -> None:
        """The slot has so many tokens of noise: for a self-test far from the beginning, without reading that far."""
        random = np.random.default_rng(seed)
        shape = self.kv[slot, 0, 0, :, :length].shape
        for layer, which in np.ndindex(self.kv.shape[1:3]):
            noise = random.integers(-127, 128, shape) if self.card.kv == "int8" else random.standard_normal(shape)
            self.kv[slot, layer, which, :, :length] = noise
        self.lengths[slot] = length

    def save(self, slot: int, begin: int, end: int) -> NDArray[Any]:
        """A copy of the KV of some positions: [layers, 2, kv_heads, positions, head_size]."""
        return self.kv[slot, :, :, :, begin:end].copy()

    def restore(self, slot: int, begin: int, saved: NDArray[Any]) -> None:
        """Puts a copy behind what the slot has."""
        if begin != self.lengths[slot]:
            raise ValueError(f"slot {slot} has {self.lengths[slot]} tokens, so none can be put at {begin}")
        end = begin + saved.shape[3]
        self.kv[slot, :, :, :, begin:end] = saved
        self.lengths[slot] = end

    # -- binding ----------------------------------------------------------------------------------------------------
    def _bind_buffers(self) -> None:
        """KV and lengths stay where they are for good; a step only changes what is in them."""
        for slot in range(self.plan.slots):
            for layer in range(self.card.layers):
                for which, word in enumerate(("key", "value")):
                    value = onnxruntime.OrtValue.ortvalue_from_numpy(self.kv[slot, layer, which][None])
                    self._kept.append(value)
                    self._binding.bind_ortvalue_input(f"{word}.{layer}.{slot}", value)
                    self._binding.bind_ortvalue_output(f"new_{word}.{layer}.{slot}", value)
            for name, array in (("past_length", self._past[slot]), ("total_length", self._total[slot])):
                value = onnxruntime.OrtValue.ortvalue_from_numpy(array)
                self._kept.append(value)
                self._binding.bind_ortvalue_input(f"{name}.{slot}", value)

    def _bind_step(self, tokens: Sequence[int], wanted: Sequence[int], widths: Sequence[int]) -> None:
        inputs: dict[str, NDArray[np.int64]] = {
            "tokens": np.array([tokens], np.int64),
            "wanted": np.array(wanted, np.int64),
        }
        attended: list[int] = []
        returned: list[int] = []
        first = 0
        for slot, width in enumerate(widths):
            # A slot without new tokens has one row all the same; it is written where the slot's next token will be.
            total = self.lengths[slot] + max(width, 1)
            self._past[slot][0] = total - 1
            self._total[slot][...] = total
            returned += range(len(attended), len(attended) + width)
            attended += range(first, first + width) if width else (0,)
            first += width
        if self.plan.slots > 1:
            inputs["attended"] = np.array(attended, np.int64)
            inputs["returned"] = np.array(returned, np.int64)
            inputs["split"] = np.array([max(width, 1) for width in widths], np.int64)
        self._step_values = [onnxruntime.OrtValue.ortvalue_from_numpy(array) for array in inputs.values()]
        for name, value in zip(inputs, self._step_values, strict=True):
            self._binding.bind_ortvalue_input(name, value)
        self._out = onnxruntime.OrtValue.ortvalue_from_numpy(self._logits[:, : len(wanted)])
        self._binding.bind_ortvalue_output("logits", self._out)


def _open_session(path: Path, threads: int, providers: Providers) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # Spinning longer burns the cores of neighbours for nothing; not spinning costs a fifth of the speed.
    options.add_session_config_entry("session.intra_op.spin_duration_us", "100")
    missing = [name for name in providers.names if name not in onnxruntime.get_available_providers()]
    if missing:
        raise ValueError(
            f"this onnxruntime has no {', '.join(missing)}; it has {onnxruntime.get_available_providers()}"
        )
    return onnxruntime.InferenceSession(
        str(path), options, providers=list(providers.names), provider_options=list(providers.options)
    )
