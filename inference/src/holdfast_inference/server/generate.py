# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""POST /generate: our own form, close to the engine's words. It speaks ids, so that a gateway can go on with an answer
that another node began, and tells for each token its id."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp

from holdfast_inference import words
from holdfast_inference.engine.fairness import BEGUN_ELSEWHERE
from holdfast_inference.server import run
from holdfast_inference.server.asked import Asked, deadline_of, read_sampling, read_stop, requests_of
from holdfast_inference.server.completions import ids_of
from holdfast_inference.server.errors import ApiError, invalid
from holdfast_inference.server.exchange import exchange_of
from holdfast_inference.server.fields import Fields
from holdfast_inference.server.messages import read_messages
from holdfast_inference.server.settings import Limits
from holdfast_inference.server.shapes import finite
from holdfast_inference.server.work import Work

LONGEST_CLIENT = 256
_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_GRAMMARS: tuple[words.GrammarKind, ...] = ("json_schema", "json_object", "regex", "lark")


async def generate(request: Request) -> ASGIApp:
    """Answer one prompt."""
    service = run.service_of(request)
    limits = service.settings.limits
    fields = await run.fields_of(request)
    asked = read_generate(fields, limits)
    facts = service.model(fields.text("model"))
    _check_digest(fields, facts)
    exchange = exchange_of(request)
    exchange.model = facts.name
    prompt = await _prompt(fields, limits, service.ready_engine().tokenizer(facts.name), facts)
    forced = fields.ids("forced_output_ids") or ()
    own_id = fields.text("id")
    if own_id is not None and not _ID.fullmatch(own_id):
        raise invalid("id must be of 1 to 128 letters, digits, . _ : -", "id")
    embed = fields.boolean("embed")
    backup = fields.boolean("backup")
    client = fields.text("client")
    if client is not None and not (exchange.key.priority >= BEGUN_ELSEWHERE and len(client) <= LONGEST_CLIENT):
        # Who may go before everybody wins nothing by saying whose a request is; anybody else would.
        client = None
    pinned = fields.integer("pin_prefix", 0, len(prompt)) or 0
    # Nobody may hurry beyond what their key allows; a gateway passes on what its own client may.
    priority = min(fields.integer("priority", -999, 999) or 0, exchange.key.priority)
    run.note_unknown(request, fields)
    deadline = deadline_of(request.headers, limits)
    made = requests_of(asked, [prompt], facts, exchange.key, deadline)[0]
    wanted = dataclasses.replace(
        made,
        id=own_id or made.id,
        forced_output_ids=forced,
        pin_prefix=pinned,
        priority=priority,
        client=exchange.key.name if client is None else client,
        backup=backup,
        embed=embed,
        max_tokens=1 if embed else made.max_tokens,
    )
    if max(forced, default=0) >= facts.vocabulary:
        raise invalid("forced_output_ids has an id beyond the model's vocabulary.", "forced_output_ids")
    work = await run.begin(request, [wanted], facts)
    if not asked.stream:
        events = await run.collect(request, work)
        return JSONResponse(answer_object(_head(wanted, work), (event for _, event in events)))
    return run.stream(request, work, _Chunks(lambda: _head(wanted, work)).of, lambda: b"")


def _head(wanted: words.Request, work: Work) -> dict[str, str]:
    """What says whose answer this is, once that is known."""
    facts = work.facts
    return {"id": wanted.id, "model": facts.name, "digest": facts.digest, "fingerprint": facts.fingerprint}


def read_generate(fields: Fields, limits: Limits) -> Asked:
    """Understand everything but the prompt."""
    return Asked(
        sampling=read_sampling(fields),
        stop=read_stop(fields, limits),
        max_tokens=fields.integer("max_tokens", 1, 2**31 - 1),
        choices=1,
        stream=fields.boolean("stream"),
        include_usage=True,
        logprobs=fields.integer("logprobs", 0, 20),
        grammar=_read_grammar(fields, limits),
        min_tokens=fields.integer("min_tokens", 0, 2**31 - 1) or 0,
        stop_ids=fields.ids("stop_ids") or (),
        ignore_eos=fields.boolean("ignore_eos"),
    )


def _read_grammar(fields: Fields, limits: Limits) -> words.Grammar | None:
    grammar = fields.member("grammar")
    if grammar is None:
        return None
    wanted = grammar.choice("kind", _GRAMMARS, "json_object")
    text = grammar.text("text") or ""
    if len(text.encode("utf-8")) > limits.schema_bytes:
        raise invalid(f"grammar.text is larger than {limits.schema_bytes} bytes.", "grammar.text")
    return words.Grammar(next(kind for kind in _GRAMMARS if kind == wanted), text)


def _check_digest(fields: Fields, facts: words.ModelFacts) -> None:
    """Who goes on with an answer says which model began it: another one would mix two answers."""
    digest = fields.text("digest")
    if digest is not None and digest != facts.digest:
        message = f"The model {facts.name} is {facts.digest} here, not {digest[:80]}; this answer cannot go on with it."
        raise ApiError(409, "model_changed", message, param="digest", headers={"x-should-retry": "false"})


async def _prompt(fields: Fields, limits: Limits, tokenizer: words.Tokenizer, facts: words.ModelFacts) -> list[int]:
    given = [member for member in ("prompt", "prompt_ids", "messages") if fields.raw(member) is not None]
    if len(given) != 1:
        raise invalid("Exactly one of prompt, prompt_ids and messages is needed.", "prompt")
    if given == ["messages"]:
        messages = read_messages(fields, limits)
        return await run.make_ids(len(str(messages)), lambda: tokenizer.chat(messages))
    ids = fields.ids("prompt_ids")
    if ids is None:
        return await ids_of(fields.required_text("prompt"), tokenizer, facts)
    if not ids:
        raise invalid("prompt_ids is empty.", "prompt_ids")
    return await ids_of(ids, tokenizer, facts)


def token_object(token: words.Token, *, logprobs: bool) -> dict[str, Any]:
    """One token as JSON."""
    told: dict[str, Any] = {"index": token.index, "id": token.id, "text": token.text}
    if logprobs:
        told |= {"logprob": finite(token.logprob), "top": [[other, finite(value)] for other, value in token.top]}
    return told


def finish_object(finish: words.Finish) -> dict[str, Any]:
    """The end of an answer as JSON."""
    usage = dataclasses.asdict(finish.usage)
    told = {"text": finish.text, "finish_reason": finish.reason, "stop": finish.stop, "usage": usage}
    return told if finish.vector is None else {**told, "vector": finish.vector}


class _Chunks:
    def __init__(self, head: Callable[[], dict[str, str]]) -> None:
        self._head = head
        self._told = False

    def of(self, _number: int, event: words.Event) -> Iterator[dict[str, Any]]:
        if not self._told:
            self._told = True
            yield self._head()
        if isinstance(event, words.Token):
            yield token_object(event, logprobs=event.logprob is not None)
        else:
            yield finish_object(event)


def answer_object(head: dict[str, str], events: Iterable[words.Event]) -> dict[str, Any]:
    """A whole answer as JSON."""
    texts: list[str] = []
    tokens: list[words.Token] = []
    end: dict[str, Any] = {}
    for event in events:
        texts.append(event.text)
        if isinstance(event, words.Token):
            tokens.append(event)
        else:
            end = finish_object(event)
    answer: dict[str, Any] = {**head, **end, "text": "".join(texts), "ids": [token.id for token in tokens]}
    if any(token.logprob is not None for token in tokens):
        answer["tokens"] = [token_object(token, logprobs=True) for token in tokens]
    return answer
