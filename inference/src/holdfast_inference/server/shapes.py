# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""Parts of OpenAI's objects that chat and completions share: usage, log probabilities, identity."""

from __future__ import annotations

import math
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from holdfast_inference import words
from holdfast_inference.server.spelling import Spelled

LOGPROB_LEAST = -9999.0
"""JSON has no infinity; this is what OpenAI writes for a token that could not come."""


@dataclass(frozen=True)
class Identity:
    """What is the same in an answer and in all of its chunks."""

    prefix: str
    model: str
    fingerprint: Callable[[], str]
    """Asked for when something is told, since it is known no sooner."""
    id: str = field(default_factory=lambda: uuid.uuid4().hex)
    created: int = field(default_factory=lambda: int(time.time()))

    def members(self, kind: str) -> dict[str, Any]:
        """The members at the top of an object of this kind."""
        return {
            "id": f"{self.prefix}-{self.id}",
            "object": kind,
            "created": self.created,
            "model": self.model,
            "system_fingerprint": self.fingerprint(),
        }


class UsageSum:
    """The usage of a call with several answers. A prompt counts once, however many answers were drawn to it."""

    def __init__(self, choices_per_prompt: int) -> None:
        self._choices = choices_per_prompt
        self._prompt = 0
        self._cached = 0
        self._completion = 0

    def add(self, number: int, usage: words.Usage) -> None:
        """An answer is over."""
        self._completion += usage.completion
        if number % self._choices == 0:
            self._prompt += usage.prompt
            self._cached += usage.cached

    def shape(self) -> dict[str, Any]:
        """As OpenAI tells it."""
        return {
            "prompt_tokens": self._prompt,
            "completion_tokens": self._completion,
            "total_tokens": self._prompt + self._completion,
            "prompt_tokens_details": {"cached_tokens": self._cached},
        }


def finite(logprob: float | None) -> float:
    """A log probability that JSON can hold."""
    return logprob if logprob is not None and math.isfinite(logprob) else LOGPROB_LEAST


def token_text(tokenizer: words.Tokenizer, token: int) -> str:
    """One token alone, as text."""
    return tokenizer.decode([token], special=True)


def _is_text(text: str) -> bool:
    """Whether a token is text by itself; half a character is not."""
    return bool(text) and "\ufffd" not in text


def token_name(tokenizer: words.Tokenizer, token: int) -> str:
    """What to call one token: its text, or else its number, so that two halves of characters are not mixed up."""
    text = token_text(tokenizer, token)
    return text if _is_text(text) else f"token_id:{token}"


def _token_shape(tokenizer: words.Tokenizer, token: int, logprob: float | None) -> dict[str, Any]:
    text = token_text(tokenizer, token)
    told = list(text.encode("utf-8")) if _is_text(text) else None
    return {"token": token_name(tokenizer, token), "logprob": finite(logprob), "bytes": told}


def chat_logprobs(tokenizer: words.Tokenizer, tokens: Sequence[Spelled]) -> dict[str, Any]:
    """The log probabilities of some tokens, as chats tell them. Their bytes are those of the text."""
    content = [
        {
            **_token_shape(tokenizer, spelled.token.id, spelled.token.logprob),
            "bytes": list(spelled.text.encode("utf-8")),
            "top_logprobs": [_token_shape(tokenizer, other, logprob) for other, logprob in spelled.token.top],
        }
        for spelled in tokens
    ]
    return {"content": content, "refusal": None}


def completion_logprobs(tokenizer: words.Tokenizer, tokens: Sequence[Spelled]) -> dict[str, Any]:
    """The log probabilities of some tokens, as completions tell them."""
    return {
        "tokens": [token_name(tokenizer, spelled.token.id) for spelled in tokens],
        "token_logprobs": [finite(spelled.token.logprob) for spelled in tokens],
        "top_logprobs": [
            {token_name(tokenizer, other): finite(logprob) for other, logprob in spelled.token.top}
            for spelled in tokens
        ],
        "text_offset": [spelled.offset for spelled in tokens],
    }
