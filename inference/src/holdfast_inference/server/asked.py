# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""What all dialects ask alike: how to draw, when to stop, how many answers; and the engine's requests made of it."""

from __future__ import annotations

import dataclasses
import hashlib
import secrets
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

from starlette.datastructures import Headers

from holdfast_inference import words
from holdfast_inference.server.errors import invalid, too_long
from holdfast_inference.server.fields import Fields
from holdfast_inference.server.keys import Key
from holdfast_inference.server.settings import Limits

SEED_BITS = 63


@dataclass(frozen=True)
class Asked:
    """One call's wishes, without its prompts."""

    sampling: words.Sampling
    stop: tuple[str, ...]
    max_tokens: int | None
    """None: as many as fit."""
    choices: int
    stream: bool
    include_usage: bool
    logprobs: int | None = None
    grammar: words.Grammar | None = None
    min_tokens: int = 0
    stop_ids: tuple[int, ...] = ()
    ignore_eos: bool = False


def read_asked(fields: Fields, limits: Limits, *, max_tokens: int | None = None) -> Asked:
    """The members that chat and completions share; `max_tokens` is what an absent one means."""
    newer = fields.integer("max_completion_tokens", 1, 2**31 - 1)
    older = fields.integer("max_tokens", 1, 2**31 - 1)
    stream = fields.boolean("stream")
    return Asked(
        sampling=read_sampling(fields),
        stop=read_stop(fields, limits),
        max_tokens=newer or older or max_tokens,
        choices=fields.integer("n", 1, limits.choices) or 1,
        stream=stream,
        include_usage=_read_include_usage(fields, stream),
        min_tokens=fields.integer("min_tokens", 0, 2**31 - 1) or 0,
        stop_ids=fields.ids("stop_token_ids") or (),
        ignore_eos=fields.boolean("ignore_eos"),
    )


def read_sampling(fields: Fields) -> words.Sampling:
    """How to draw. An answer that nobody gave a seed gets a random one, so that it too can go on elsewhere."""
    seed = fields.integer("seed", -(2**63), 2**63 - 1)
    return words.Sampling(
        temperature=fields.number("temperature", 1.0, 0.0, 2.0),
        top_p=fields.number("top_p", 1.0, 0.0, 1.0),
        top_k=max(fields.integer("top_k", -1, 2**31 - 1) or 0, 0),
        min_p=fields.number("min_p", 0.0, 0.0, 1.0),
        seed=secrets.randbits(SEED_BITS) if seed is None else seed % 2**SEED_BITS,
        presence_penalty=fields.number("presence_penalty", 0.0, -2.0, 2.0),
        frequency_penalty=fields.number("frequency_penalty", 0.0, -2.0, 2.0),
        repetition_penalty=fields.number("repetition_penalty", 1.0, 0.01, 10.0),
        logit_bias=_read_logit_bias(fields),
    )


def _read_logit_bias(fields: Fields) -> dict[int, float]:
    members = fields.raw("logit_bias")
    if members is None:
        return {}
    biases = Fields.of(members, fields.name("logit_bias"))
    if not all(token.isascii() and token.isdecimal() and len(token) < 10 for token in members):
        raise invalid("logit_bias must have token ids as its names.", "logit_bias")
    return {int(token): biases.number(token, 0.0, -100.0, 100.0) for token in members}


def read_stop(fields: Fields, limits: Limits, member: str = "stop") -> tuple[str, ...]:
    """Up to four stop words, alone or as an array."""
    value = fields.raw(member)
    if value is None:
        return ()
    entries = [value] if isinstance(value, str) else fields.array(member, limits.stops) or []
    if not all(isinstance(entry, str) for entry in entries):
        raise fields.wrong(member, "a string or an array of strings")
    if not all(entries):
        raise invalid("A stop word must not be empty.", fields.name(member))
    return tuple(entries)


def _read_include_usage(fields: Fields, stream: bool) -> bool:
    options = fields.member("stream_options")
    if options is None:
        return False
    if not stream:
        raise invalid("stream_options is only allowed where stream is true.", "stream_options")
    options.known("include_obfuscation")
    return options.boolean("include_usage")


def room_for(asked: Asked, prompt: Sequence[int], facts: words.ModelFacts) -> int:
    """How many tokens the answer to a prompt may have."""
    left = facts.context_length - len(prompt)
    if left < 1 or (asked.max_tokens or 0) > left:
        wanted = f" and max_tokens is {asked.max_tokens}" if asked.max_tokens else ""
        raise too_long(facts.context_length, f"the prompt has {len(prompt)}{wanted}", "messages")
    return asked.max_tokens or left


def requests_of(
    asked: Asked,
    prompts: Sequence[Sequence[int]],
    facts: words.ModelFacts,
    key: Key,
    deadline: float,
) -> list[words.Request]:
    """The engine's requests: for each prompt as many as there are choices, in the order of their index."""
    return [
        words.Request(
            id=f"ans-{uuid.uuid4().hex}",
            model=facts.name,
            prompt_ids=tuple(prompt),
            max_tokens=room_for(asked, prompt, facts),
            min_tokens=asked.min_tokens,
            stop=asked.stop,
            stop_ids=asked.stop_ids,
            sampling=dataclasses.replace(asked.sampling, seed=_seed_of_choice(asked.sampling.seed, choice)),
            logprobs=asked.logprobs,
            grammar=asked.grammar,
            priority=key.priority,
            client=key.name,
            deadline=deadline,
            ignore_eos=asked.ignore_eos,
        )
        for prompt in prompts
        for choice in range(asked.choices)
    ]


def _seed_of_choice(seed: int, choice: int) -> int:
    """The first choice is the answer that n=1 gives; each further one is another draw, the same each time."""
    if choice == 0:
        return seed
    mixed = hashlib.blake2b(f"{seed}/{choice}".encode(), digest_size=8).digest()
    return int.from_bytes(mixed, "big") >> (64 - SEED_BITS)


def deadline_of(headers: Headers, limits: Limits) -> float:
    """When a request must be done, by time.monotonic(); a client may ask for less than the server's limit."""
    seconds = limits.deadline_seconds
    wanted = headers.get("x-holdfast-deadline-ms")
    if wanted is not None:
        if not (wanted.isascii() and wanted.isdecimal() and int(wanted[:12]) > 0):
            raise invalid("X-Holdfast-Deadline-Ms must be a whole number of milliseconds.", "X-Holdfast-Deadline-Ms")
        seconds = min(seconds, int(wanted[:12]) / 1000)
    return time.monotonic() + seconds
