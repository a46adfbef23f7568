# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""The words that engine, server and gateway share: what is asked, what comes back, and why something is refused.

Nothing here computes. A request is made of token ids, so that an answer that moves to another node goes on with the
very ids that were drawn; text is only what goes in at the server and what comes out of a `Token`.
"""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

FinishReason = Literal["stop", "length", "cancelled", "deadline", "error"]
GrammarKind = Literal["json_schema", "json_object", "regex", "lark"]
RefusalCode = Literal[
    "unknown_model",
    "context_length_exceeded",
    "invalid_value",
    "invalid_grammar",
    "queue_full",
    "draining",
    "deadline_exceeded",
    "duplicate_request",
]


class Refused(Exception):  # noqa: N818 - a refusal is an answer, not a fault of the program
    """A request that was not taken. Nothing of it is kept; `retry_after` (seconds) says when asking again may help."""

    def __init__(
        self, code: RefusalCode, message: str, *, retry_after: float | None = None, param: str | None = None
    ) -> None:
        super().__init__(message)
        self.code: RefusalCode = code
        self.message = message
        self.retry_after = retry_after
        self.param = param


def _within(name: str, value: float, low: float, high: float) -> None:
    if not (math.isfinite(value) and low <= value <= high):
        raise Refused("invalid_value", f"{name} must be a number from {low:g} to {high:g}, not {value!r}.", param=name)


@dataclass(frozen=True)
class Sampling:
    """How the next token is drawn. Temperature 0 takes the likeliest; one seed draws one answer, wherever asked."""

    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    seed: int = 0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    repetition_penalty: float = 1.0
    logit_bias: Mapping[int, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _within("temperature", self.temperature, 0.0, 100.0)
        _within("top_p", self.top_p, 0.0, 1.0)
        _within("top_k", self.top_k, 0, 2**31)
        _within("min_p", self.min_p, 0.0, 1.0)
        _within("presence_penalty", self.presence_penalty, -100.0, 100.0)
        _within("frequency_penalty", self.frequency_penalty, -100.0, 100.0)
        _within("repetition_penalty", self.repetition_penalty, 0.01, 100.0)
        for bias in self.logit_bias.values():
            _within("logit_bias", bias, -1000.0, 1000.0)


@dataclass(frozen=True)
class Grammar:
    """What the answer must look like: a JSON schema, any JSON object, a regular expression, or Lark's notation."""

    kind: GrammarKind
    text: str = ""


@dataclass(frozen=True)
class Request:
    """One answer that is wanted. `forced_output_ids` are the ids that another attempt at it has already drawn: they
    count as part of the answer (penalties, stop words, grammar, usage) and are neither drawn nor handed out again."""

    id: str
    model: str
    prompt_ids: tuple[int, ...]
    max_tokens: int
    forced_output_ids: tuple[int, ...] = ()
    min_tokens: int = 0
    stop: tuple[str, ...] = ()
    stop_ids: tuple[int, ...] = ()
    sampling: Sampling = field(default_factory=Sampling)
    logprobs: int | None = None
    """How many likeliest tokens to tell beside each (0: the drawn one's log probability only; None: none at all)."""
    grammar: Grammar | None = None
    priority: int = 0
    """Higher goes first, and may put out a lower one, which goes on later; within one priority clients take turns."""
    client: str = ""
    """Whose it is: clients of one priority have equal shares of the tokens that are computed."""
    backup: bool = False
    """Another site asks, since it has no node left: it is sent to no further one, which might be the first again."""
    deadline: float | None = None
    """By time.monotonic(): what is not done then ends with `deadline`."""
    pin_prefix: int = 0
    """How many of the first prompt ids to keep in the prefix cache against other uses (a site's system prompt)."""
    ignore_eos: bool = False
    embed: bool = False
    """The vector of the prompt is wanted instead of an answer; it comes with the Finish."""

    def __post_init__(self) -> None:
        if not self.prompt_ids:
            raise Refused("invalid_value", "The prompt is empty; at least one token is needed.", param="prompt")
        _within("max_tokens", self.max_tokens, 1, 2**31)
        _within("min_tokens", self.min_tokens, 0, 2**31)
        if self.logprobs is not None:
            _within("logprobs", self.logprobs, 0, 20)
        if any(not word for word in self.stop):
            raise Refused("invalid_value", "A stop word is empty.", param="stop")


@dataclass(frozen=True)
class Usage:
    """`completion` counts forced ids too, so that a resumed answer counts as one; `cached` are prompt ids that the
    prefix cache knew."""

    prompt: int
    completion: int
    cached: int = 0


@dataclass(frozen=True)
class Token:
    """One drawn token: `index` counts from the beginning of the answer, forced ids included. `text` is what may be
    shown since the token before; it is empty while half a character or the beginning of a stop word is held back."""

    index: int
    id: int
    text: str
    logprob: float | None = None
    top: tuple[tuple[int, float], ...] = ()


@dataclass(frozen=True)
class Finish:
    """The end of an answer, always its last event. `text` is what was held back and does belong to the answer."""

    reason: FinishReason
    text: str
    usage: Usage
    stop: str | None = None
    """The stop word that ended it, if one did."""
    message: str = ""
    """What went wrong, when `reason` is `error`."""
    vector: tuple[float, ...] | None = None
    """Of length 1, where `embed` was asked for."""


Event = Token | Finish


class Answer(Protocol):
    """The events of one request, in order, ended by one `Finish`. Read it once, from a thread or from an event loop."""

    @property
    def request_id(self) -> str: ...

    def __iter__(self) -> Iterator[Event]: ...

    def __aiter__(self) -> AsyncIterator[Event]: ...

    def cancel(self) -> None:
        """Ends it before its next token with `cancelled`. Safe from any thread, at any time, more than once."""


class Tokenizer(Protocol):
    """Text to ids and back, as the model was taught it."""

    @property
    def digest(self) -> str:
        """Two of one digest make the same ids of a text."""

    def encode(self, text: str, *, special: bool = True) -> list[int]:
        """`special`: with the tokens that begin and end a text; always False for text that a chat template made."""

    def decode(self, ids: Sequence[int], *, special: bool = False) -> str: ...

    def id_of(self, token: str) -> int | None: ...

    def chat(
        self,
        messages: Sequence[Mapping[str, Any]],
        *,
        tools: Sequence[Mapping[str, Any]] | None = None,
        answer_begins: bool = True,
        **more: Any,
    ) -> list[int]:
        """The ids of a conversation by the model's own chat template. Refused with `invalid_value` where the model has
        none or its template raises."""


@dataclass(frozen=True)
class ModelFacts:
    """What is known of a model that is being served."""

    name: str
    digest: str
    """SHA-256 over the model folder: two nodes whose digests differ never continue each other's answers."""
    fingerprint: str
    """Digest, runtime, instruction set and exactness in a few characters, for OpenAI's `system_fingerprint`."""
    context_length: int
    vocabulary: int
    eos_ids: tuple[int, ...]
    slots: int
    row_quantum: int | None
    """Rows of a step are padded to a multiple of this so that answers do not depend on load; None: not exact here."""
    memory_bytes: int
    """What the plan grants: weights, KV buffers and working memory."""
    has_chat: bool
    loaded_at: float
    """By time.time()."""
    embedding_size: int = 0
    """Numbers of a vector, of a model that makes embeddings; 0: it draws text."""
    tokenizer: str = ""
    """The digest of its tokenizer. Ids that another one made are none that it was taught."""


@dataclass(frozen=True)
class ModelStatus:
    """How full one model is, and what it has done since it was loaded."""

    running: int
    waiting: int
    queued_tokens: int
    """Tokens probably still to compute, of all that runs and waits: prompts to read, and answers as long as they lately
    were."""
    queue_limit_tokens: int
    tokens_per_second: float
    """Measured lately, prompts and answers together; 0 while nothing was measured."""
    kv_use: float
    """Share of all KV positions that running requests fill, 0 to 1."""
    prefix_queries: int
    prefix_hits: int
    prefix_tokens_saved: int
    speculated: int
    accepted: int
    steps: int
    prompt_tokens: int
    """Of prompts, those that were computed; `prefix_tokens_saved` were not."""
    completion_tokens: int
    finished: Mapping[str, int]
    """How many ended, by reason."""
    preempted: int = 0
    """How often an answer waited in its middle for more important ones."""

    @property
    def prompt_tokens_read(self) -> int:
        """Of prompts, all, whether they were computed or remembered."""
        return self.prompt_tokens + self.prefix_tokens_saved


@dataclass(frozen=True)
class Status:
    models: Mapping[str, ModelStatus]
    draining: bool


class Engine(Protocol):
    """Models by name, and answers from them. All methods are safe from any thread and return at once."""

    def models(self) -> Mapping[str, ModelFacts]: ...

    def tokenizer(self, model: str) -> Tokenizer:
        """Refused with `unknown_model` where there is none of that name."""

    def submit(self, request: Request) -> Answer:
        """Takes the request or raises Refused; never waits."""

    def status(self) -> Status: ...

    def drain(self) -> None:
        """From now on `submit` refuses with `draining`; what was taken before is finished."""

    def close(self) -> None:
        """Ends everything that still runs with `cancelled` and lets the models go. The one method that waits."""
