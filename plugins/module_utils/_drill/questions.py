# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked in a drill: every kind of request whose answer is certain, so that it can be compared byte for byte."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

SHORT_TOKENS = 16
ITEMS = {"type": "array", "items": {"enum": ["one", "two", "three", 4]}, "minItems": 20, "maxItems": 20}
SHORT = "short"
KINDS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        SHORT: {"temperature": 0, "max_tokens": SHORT_TOKENS},
        "greedy": {"temperature": 0, "ignore_eos": True},
        "seeded": {"temperature": 1, "seed": 7, "ignore_eos": True},
        "penalised": {"temperature": 0.9, "seed": 3, "frequency_penalty": 0.8, "ignore_eos": True},
        "two": {"temperature": 1, "seed": 11, "n": 2, "ignore_eos": True},
        "schema": {
            "temperature": 0,
            "response_format": {"type": "json_schema", "json_schema": {"name": "items", "schema": ITEMS}},
        },
    }
)


@dataclass(frozen=True)
class Question:
    """One request that can be asked again and again and has one right answer."""

    kind: str
    content: str
    stream: bool
    body: bytes

    @property
    def name(self) -> str:
        """The same for the streamed and the plain way, which have the same answer."""
        return f"{self.kind}: {self.content}"


def questions(model: str, contents: Sequence[str], tokens: int) -> list[Question]:
    """Each content in each kind, streamed and plain; neighbours differ."""
    return [
        _question(model, kind, content, stream, tokens)
        for content, kind, stream in itertools.product(contents, KINDS, (False, True))
    ]


def _question(model: str, kind: str, content: str, stream: bool, tokens: int) -> Question:
    body = {"model": model, "max_tokens": tokens, **KINDS[kind], "stream": stream}
    body["messages"] = [{"role": "user", "content": content}]
    return Question(kind, content, stream, json.dumps(body).encode())
