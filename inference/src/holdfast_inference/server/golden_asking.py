# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""Asking a golden set, out of the way of those who ask in earnest.

Its requests have the lowest priority there is, one slot is always left to others, and while others are being answered
it asks one question at a time. It is not part of what is measured of requests, and admission does not count it.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import deque
from collections.abc import Sequence

from holdfast_inference import words
from holdfast_inference.golden import Question
from holdfast_inference.server.errors import RETRY_AFTER_LEAST, ApiError
from holdfast_inference.server.golden import Reply
from holdfast_inference.server.service import ModelExchanged, Service

PRIORITY = -999
"""The lowest that a key may have, and that a node takes from a gateway."""
LOOK_SECONDS = 0.02
_SPARE_TOKENS = 8


async def ask_all(
    service: Service, facts: words.ModelFacts, questions: Sequence[Question], most: int | None
) -> list[Reply]:
    """A reply to each question, in their order, of at most so many tokens; None: of what the right answer needs and
    some more, since an answer that goes on beyond that is wrong already."""
    replies: dict[int, Reply] = {}
    left = deque(enumerate(questions))

    async def keep_asking(*, gives_way: bool) -> None:
        while left:
            if gives_way and service.works:
                await asyncio.sleep(LOOK_SECONDS)
                continue
            number, question = left.popleft()
            replies[number] = await _ask(service, facts, question, most)

    places = range(max(1, facts.slots - 1))
    asking = [asyncio.create_task(keep_asking(gives_way=place > 0)) for place in places]
    try:
        await asyncio.gather(*asking)
    finally:
        # Where one failed, the others would go on for nobody.
        for task in asking:
            task.cancel()
    return [replies[number] for number in range(len(questions))]


async def _ask(service: Service, facts: words.ModelFacts, question: Question, most: int | None) -> Reply:
    tokenizer = service.ready_engine().tokenizer(facts.name)
    begun = time.monotonic()
    try:
        request = words.Request(
            id=f"golden-{uuid.uuid4().hex}",
            model=facts.name,
            prompt_ids=tuple(question.ids(tokenizer)),
            max_tokens=most or 2 * len(tokenizer.encode(question.answer, special=False)) + _SPARE_TOKENS,
            sampling=words.Sampling(temperature=0.0),
            priority=PRIORITY,
        )
        answer = await _submit(service, request)
    except words.Refused as refused:
        raise ApiError.of(refused) from refused
    try:
        now = service.ready_engine().models().get(facts.name)
        if now is None or now.digest != facts.digest:
            raise ModelExchanged
        text, reason = "", "nothing at all"
        async for event in answer:
            text += event.text
            if isinstance(event, words.Finish):
                reason = event.reason
    finally:
        answer.cancel()
    if reason not in ("stop", "length"):
        raise ApiError(503, "probe_ended", f"A golden question ended with {reason}, so the run came to nothing.")
    return Reply(text, time.monotonic() - begun)


async def _submit(service: Service, request: words.Request) -> words.Answer:
    """A golden question waits until there is room for it."""
    while True:
        try:
            return service.ready_engine().submit(request)
        except words.Refused as refused:
            if refused.code != "queue_full":
                raise
            await asyncio.sleep(refused.retry_after or RETRY_AFTER_LEAST)
