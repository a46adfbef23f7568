# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""What a model will take of the memory, before any of it is taken."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..model_folder import SPARE_POSITIONS, Card

MIB = 1024 * 1024
SHORTEST = 32
"""Tokens of context, and of a chunk, below which the self-test at load has nothing to compare."""

_RUNTIME = 96 * MIB
"""Interpreter, libraries, tokenizer and graphs: what a server with a tiny model takes."""
_ARRANGED_PERCENT = 115
"""Weights as kernels want them, by the size of their file; seen: 250 MiB of 218."""
_ARENA = 2
"""onnxruntime's arena grows by powers of two, so at most half of it is empty."""
TABLE = 1500
"""Bytes for a token in the table that grammars need, while it is made. A script that was not kept saw 1,450 of 150,000
tokens and 1,180 of 49,000; a test measures 40,000."""


class DoesNotFit(Exception):  # noqa: N818 - said of a model, with the numbers
    """The plan needs more than is granted."""


@dataclass(frozen=True)
class Plan:
    slots: int
    context: int
    chunk: int
    weights: int
    kv: int
    prefix: int
    working: int

    @property
    def total(self) -> int:
        return self.weights + self.kv + self.prefix + self.working

    def told(self) -> str:
        parts = (("weights", self.weights), ("KV", self.kv), ("prefix cache", self.prefix), ("working", self.working))
        sums = " + ".join(f"{name} {amount / MIB:.0f}" for name, amount in parts)
        return f"{sums} = {self.total / MIB:.0f} MiB for {self.slots} slots of {self.context} tokens"


def make_plan(
    card: Card, *, granted: int, slots: int, context: int | None, prefix: int, chunk: int, shared: bool = False
) -> Plan:
    """The plan for exactly this, or DoesNotFit; nothing is made smaller behind the operator's back. `shared`: the
    weights are in memory already, for another session that maps the same file."""
    if slots not in card.graphs:
        raise DoesNotFit(
            f"{card.name} was exported for {', '.join(map(str, sorted(card.graphs)))} slots, not for "
            f"{slots}. Choose one "
            "of these, or export it again."
        )
    tokens = min(context or card.context, card.context)
    if tokens < SHORTEST or chunk < SHORTEST:
        raise DoesNotFit(
            f"{card.name} cannot be served with a context of {tokens} tokens in chunks of {chunk}: at "
            f"least {SHORTEST} are "
            "needed of both."
        )
    rows = chunk + SPARE_POSITIONS
    layer = 4 * card.hidden + 3 * card.intermediate + 4 * card.heads * card.head_size
    scores = card.heads * (tokens + SPARE_POSITIONS)
    activations = _ARENA * rows * 4 * (layer + scores)
    logits = 2 * 4 * card.output_size() * logit_rows(slots)
    table = TABLE * card.vocabulary if card.task == "text" else 0
    plan = Plan(
        slots=slots,
        context=tokens,
        chunk=chunk,
        weights=0 if shared else arranged_bytes(card),
        kv=slots * (tokens + SPARE_POSITIONS) * card.kv_bytes_per_token(),
        prefix=prefix,
        working=_RUNTIME + activations + logits + table,
    )
    if plan.total > granted:
        raise DoesNotFit(
            f"{card.name} needs {plan.told()}, and {granted / MIB:.0f} MiB are granted. It was not "
            f"loaded. Grant more, or "
            "ask for fewer slots, a shorter context or a smaller prefix cache."
        )
    return plan


def taken(models: Iterable[tuple[Plan, int, object]]) -> int:
    """Bytes of several models together, told by plan, bytes of the weights, and what names them: weights of one name
    are mapped from one file and count once, whichever of them leaves first."""
    weights: dict[object, int] = {}
    rest = 0
    for plan, size, name in models:
        weights[name] = size
        rest += plan.total - plan.weights
    return rest + sum(weights.values())


def arranged_bytes(card: Card) -> int:
    """What the weights take in memory."""
    return card.weight_bytes() * _ARRANGED_PERCENT // 100


def logit_rows(slots: int) -> int:
    """The most rows of one step that have logits: a guess or four for each slot, and padding."""
    return slots * 5 + 8
