# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""The engine's words on the way to a node and back, by the node's POST /generate."""

from __future__ import annotations

import json
import math
import time
from collections.abc import AsyncIterator, Sequence
from operator import index
from typing import Any

from holdfast_inference import words
from holdfast_inference.engine.fairness import BEGUN_ELSEWHERE


class BadWire(Exception):  # noqa: N818 - it names what is bad, and reads so where it is caught
    """A node said something that is no event."""


RESUMED_PRIORITY = BEGUN_ELSEWHERE


def body_of(
    request: words.Request, drawn: Sequence[int], epoch: int, digest: str | None, *, resumed: bool, backup: bool
) -> dict[str, Any]:
    """What a node is asked: the request, and the ids of its answer that are there already. What was begun elsewhere
    goes before all that is new. `backup`: it is another site's gateway."""
    sampling = request.sampling
    body: dict[str, Any] = {
        "id": f"{request.id}.{epoch}",
        "model": request.model,
        "prompt_ids": request.prompt_ids,
        "forced_output_ids": list(drawn),
        "max_tokens": request.max_tokens,
        "min_tokens": request.min_tokens,
        "stop": list(request.stop),
        "stop_ids": request.stop_ids,
        "logprobs": request.logprobs,
        "priority": RESUMED_PRIORITY if resumed else request.priority,
        "pin_prefix": request.pin_prefix,
        "client": request.client,
        "ignore_eos": request.ignore_eos,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
        "min_p": sampling.min_p,
        "seed": sampling.seed,
        "presence_penalty": sampling.presence_penalty,
        "frequency_penalty": sampling.frequency_penalty,
        "repetition_penalty": sampling.repetition_penalty,
        "logit_bias": {str(token): bias for token, bias in sampling.logit_bias.items()},
        "stream": True,
    }
    if request.grammar is not None:
        body["grammar"] = {"kind": request.grammar.kind, "text": request.grammar.text}
    if request.embed:
        body["embed"] = True
    if backup:
        body["backup"] = True
    if digest is not None:
        body["digest"] = digest
    return body


def milliseconds_left(request: words.Request) -> int | None:
    """What a node is told of the deadline; None where there is none."""
    if request.deadline is None:
        return None
    return max(0, math.ceil((request.deadline - time.monotonic()) * 1000))


async def lines_of(chunks: AsyncIterator[bytes]) -> AsyncIterator[str]:
    """Lines as servers mean them: ended by a line feed and nothing else. Text may hold characters, such as U+2028, that
    Python takes for the end of a line too. What is not ended is not told: it may be half a line."""
    waiting = b""
    async for chunk in chunks:
        *whole, waiting = (waiting + chunk).split(b"\n")
        for line in whole:
            try:
                yield line.removesuffix(b"\r").decode("utf-8")
            except UnicodeDecodeError as error:
                raise BadWire(f"not UTF-8: {line[:80]!r}") from error


def parse_frame(line: str) -> dict[str, Any] | None:
    """The content of one line of a stream; None for pings and the blank lines between events."""
    if not line.startswith("data: "):
        return None
    try:
        content = json.loads(line[6:])
    except (ValueError, RecursionError) as error:
        raise BadWire(f"not JSON: {line[:80]!r}") from error
    if not isinstance(content, dict):
        raise BadWire(f"no object: {line[:80]!r}")
    return content


def event_of(content: dict[str, Any]) -> words.Event:
    """A token or the end of an answer. An answer that came to no good end is told as an error, and so is none here."""
    try:
        text = content["text"]
        if not isinstance(text, str):
            raise TypeError
        if "finish_reason" in content:
            reason, stop, usage = content["finish_reason"], content["stop"], content["usage"]
            if reason not in ("stop", "length") or not isinstance(stop, str | None):
                raise ValueError
            told = words.Usage(*(index(usage[part]) for part in ("prompt", "completion", "cached")))
            numbers = content.get("vector")
            vector = None if numbers is None else tuple(float(number) for number in numbers)
            return words.Finish(reason, text, told, stop, vector=vector)
        top = tuple((index(token), float(logprob)) for token, logprob in content.get("top", ()))
        logprob = content.get("logprob")
        drawn = None if logprob is None else float(logprob)
        return words.Token(index(content["index"]), index(content["id"]), text, drawn, top)
    except (KeyError, TypeError, ValueError) as error:
        raise BadWire(f"no event: {content!r:.80}") from error
