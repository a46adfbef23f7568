# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The check list of the API, T1 to T4 and T9 to T14: what answers look like. A real engine, OpenAI's client."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from .real_site import CONTEXT, MODEL, Site, real_site

SHOP = {
    "type": "object",
    "properties": {"open": {"type": "boolean"}, "aisle": {"enum": [1, 2, 12]}},
    "required": ["open", "aisle"],
    "additionalProperties": False,
}
OPEN_SHOP = {name: value for name, value in SHOP.items() if name != "additionalProperties"}
NOTHING = {"type": "object", "properties": {}, "additionalProperties": False}
TOOLS: Any = [
    {"type": "function", "function": {"name": "find", "parameters": OPEN_SHOP}},
    {
        "type": "function",
        "function": {"name": "close", "parameters": {"type": "object", "additionalProperties": False}},
    },
]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with real_site(tmp_path_factory.mktemp("site")) as site:
        yield site


def text_of(chunks: list[Any], index: int = 0) -> str:
    deltas = [choice.delta for chunk in chunks for choice in chunk.choices if choice.index == index]
    return "".join(delta.content or "" for delta in deltas)


def test_t1_the_role_comes_first_and_identity_never_changes(site: Site) -> None:
    chunks = list(site.chat(stream=True, n=2))
    for index in (0, 1):
        deltas = [choice.delta for chunk in chunks for choice in chunk.choices if choice.index == index]
        assert deltas[0].role == "assistant"
        assert [delta.role for delta in deltas[1:]] == [None] * (len(deltas) - 1)
    assert len({(chunk.id, chunk.created, chunk.model, chunk.system_fingerprint) for chunk in chunks}) == 1
    assert {chunk.object for chunk in chunks} == {"chat.completion.chunk"}
    assert chunks[0].model == MODEL


def test_t2_one_finish_reason_and_then_done(site: Site) -> None:
    body = {"model": MODEL, "messages": [{"role": "user", "content": "x"}], "max_tokens": 9, "n": 2, "stream": True}
    with site.server.client() as client:
        told = [line for line in client.post("/v1/chat/completions", json=body).text.splitlines() if line]
        assert told[-1] == "data: [DONE]"
        assert told.count("data: [DONE]") == 1
        for index in (0, 1):
            events = [json.loads(line[6:]) for line in told[:-1] if line.startswith("data: ")]
            reasons = [
                choice["finish_reason"] for event in events for choice in event["choices"] if choice["index"] == index
            ]
            assert reasons[-1] in ("stop", "length")
            assert set(reasons[:-1]) == {None}


def test_t3_usage_is_an_extra_last_chunk_only_where_asked_for(site: Site) -> None:
    chunks = list(site.chat(stream=True, stream_options={"include_usage": True}))
    assert chunks[-1].choices == []
    assert chunks[-1].usage.completion_tokens == 24
    assert all(chunk.usage is None and chunk.choices for chunk in chunks[:-1])
    assert all(chunk.choices and chunk.usage is None for chunk in site.chat(stream=True))
    completions = list(site.completion(stream=True, stream_options={"include_usage": True}))
    assert (completions[-1].choices, completions[-1].usage.completion_tokens) == ([], 24)


@pytest.mark.parametrize("members", [{}, {"n": 3, "temperature": 1, "seed": 5}, {"stop": [" "]}])
def test_t4_usage_is_equal_streamed_and_not(site: Site, members: dict[str, Any]) -> None:
    whole = site.chat("What does the chair cost?", **members)
    chunks = list(
        site.chat("What does the chair cost?", stream=True, stream_options={"include_usage": True}, **members)
    )
    told, streamed = whole.usage, chunks[-1].usage
    assert told.prompt_tokens == streamed.prompt_tokens
    assert told.completion_tokens == streamed.completion_tokens
    assert told.total_tokens == told.prompt_tokens + told.completion_tokens
    for index, choice in enumerate(whole.choices):
        assert choice.message.content == text_of(chunks, index)


def test_t4_tokens_from_the_prefix_cache_are_told(site: Site) -> None:
    content = "The chairs are beside the tables in aisle three, and lamps are in aisle twelve. " * 6
    first, second = site.chat(content), site.chat(content)
    assert first.usage.prompt_tokens == second.usage.prompt_tokens > 100
    assert second.usage.prompt_tokens_details.cached_tokens > 50
    assert first.choices[0].message.content == second.choices[0].message.content


def test_t4_usage_and_text_are_unchanged_by_a_resume(site: Site) -> None:
    body = {"model": MODEL, "prompt": "The lamp is in", "temperature": 0.8, "seed": 11, "max_tokens": 40}
    with site.server.client() as client:
        whole = client.post("/generate", json=body).json()
        for cut in (1, 7, 39):
            forced = {**body, "forced_output_ids": whole["ids"][:cut], "digest": whole["digest"]}
            rest = client.post("/generate", json=forced).json()
            assert whole["ids"][:cut] + rest["ids"] == whole["ids"]
            assert whole["text"].endswith(rest["text"])
            assert rest["usage"]["completion"] == whole["usage"]["completion"]
            assert rest["finish_reason"] == whole["finish_reason"]
        other = client.post("/generate", json={**body, "forced_output_ids": [5], "digest": "another"})
        assert (other.status_code, other.json()["error"]["code"]) == (409, "model_changed")


def test_t9_forms_of_content_and_all_roles(site: Site) -> None:
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": "Be short."},
        {"role": "developer", "content": [{"type": "text", "text": "Be kind."}]},
        {"role": "user", "content": [{"type": "text", "text": "Where is"}, {"type": "text", "text": "the lamp?"}]},
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [{"id": "c", "type": "function", "function": {"name": "find", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "c", "content": "12"},
        {"role": "user", "content": "Thanks"},
    ]
    assert site.chat(messages=messages).usage.completion_tokens > 0
    as_text = site.chat("Where is the lamp?")
    as_parts = site.chat(messages=[{"role": "user", "content": [{"type": "text", "text": "Where is the lamp?"}]}])
    assert as_text.choices[0].message.content == as_parts.choices[0].message.content
    assert as_text.usage.prompt_tokens == as_parts.usage.prompt_tokens


def test_t10_both_names_of_max_tokens_and_a_default_of_what_fits(site: Site) -> None:
    assert site.chat(max_tokens=5).usage.completion_tokens == 5
    assert site.chat(max_tokens=None, max_completion_tokens=6).usage.completion_tokens == 6
    assert site.completion(max_tokens=None).usage.completion_tokens <= 16
    with site.server.client() as client:
        body = {"messages": [{"role": "user", "content": "x"}], "ignore_eos": True}
        usage = client.post("/v1/chat/completions", json=body).json()["usage"]
    assert usage["total_tokens"] == CONTEXT
    with pytest.raises(openai.BadRequestError) as caught:
        site.chat(max_tokens=CONTEXT)
    assert caught.value.code == "context_length_exceeded"


def test_t11_stop_words_across_tokens(site: Site) -> None:
    whole = site.completion(logprobs=0).choices[0]
    texts, offsets = whole.logprobs.tokens, whole.logprobs.text_offset
    borders = [
        number
        for number in range(2, len(texts))
        if all(text.isascii() and not text.startswith("token_id:") for text in texts[number - 1 : number + 1])
    ]
    assert borders, "the untrained model draws no two plain tokens in a row; choose another seed"
    border = borders[0]
    word = texts[border - 1][-1] + texts[border][0]
    at = whole.text.index(word)
    for stream in (False, True):
        answer = site.completion(stop=[word, "never"], stream=stream)
        choices = [chunk.choices[0] for chunk in answer] if stream else [answer.choices[0]]
        assert "".join(choice.text for choice in choices) == whole.text[:at]
        assert choices[-1].finish_reason == "stop"
    assert offsets == sorted(offsets)
    with pytest.raises(openai.BadRequestError):
        site.completion(stop=["a", "b", "c", "d", "e"])


def test_t11_seeds_and_several_choices(site: Site) -> None:
    def texts(**members: Any) -> list[str]:
        return [choice.message.content for choice in site.chat(temperature=1, **members).choices]

    assert texts(seed=1) == texts(seed=1)
    assert texts(seed=1) != texts(seed=2)
    three = texts(seed=1, n=3)
    assert three == texts(seed=1, n=3)
    assert three[0] == texts(seed=1)[0]
    assert len(set(three)) == 3
    with pytest.raises(openai.BadRequestError) as caught:
        texts(n=9)
    assert caught.value.param == "n"


def test_t12_log_probabilities_in_both_forms(site: Site) -> None:
    content = site.chat(logprobs=True, top_logprobs=3).choices[0].logprobs.content
    assert len(content) == 24
    for token in content:
        assert token.logprob <= 0
        assert len(token.top_logprobs) == 3
        assert token.logprob == pytest.approx(max(other.logprob for other in token.top_logprobs))
        assert token.token in {other.token for other in token.top_logprobs}
        assert sum(math.exp(other.logprob) for other in token.top_logprobs) <= 1 + 1e-6
    chunks = list(site.chat(logprobs=True, top_logprobs=3, stream=True))
    streamed = [
        token for chunk in chunks for choice in chunk.choices if choice.logprobs for token in choice.logprobs.content
    ]
    assert streamed == content
    plain = site.completion(logprobs=2).choices[0].logprobs
    # Tokens at the end that are no text, of which an untrained model draws some, are not among them.
    assert 20 <= len(plain.tokens) <= 24
    assert len(plain.tokens) == len(plain.token_logprobs) == len(plain.top_logprobs) == len(plain.text_offset)
    assert all(len(top) == 2 and token in top for token, top in zip(plain.tokens, plain.top_logprobs, strict=True))
    assert site.chat().choices[0].logprobs is None


def spelled(choices: list[Any]) -> str:
    """What the bytes of the tokens of a chat's choice make, whole or in chunks."""
    told = [choice.logprobs.content for choice in choices if choice.logprobs]
    return bytes(byte for content in told for token in content for byte in token.bytes).decode()


@pytest.mark.parametrize("end", ["its length", "a stop word", "an end token"])
def test_t12_tokens_make_the_text_whatever_ends_it(site: Site, end: str) -> None:
    body = {"model": MODEL, "messages": [{"role": "user", "content": "x"}], "temperature": 0, "max_tokens": 24}
    with site.server.client() as client:
        whole = client.post("/generate", json=body).json()
    last = whole["ids"].index(whole["ids"][12])
    members: dict[str, Any] = {
        "its length": {},
        "a stop word": {"stop": whole["text"][9:11]},
        "an end token": {"extra_body": {"stop_token_ids": [whole["ids"][12]]}},
    }[end]
    for stream in (False, True):
        answer = site.chat("x", logprobs=True, stream=stream, **members)
        chunks = list(answer) if stream else []
        choices = [chunk.choices[0] for chunk in chunks] or list(answer.choices)
        text = text_of(chunks) if stream else choices[0].message.content
        assert spelled(choices) == text
        assert choices[-1].finish_reason == ("length" if end == "its length" else "stop")
        if end == "an end token":
            assert sum(len(choice.logprobs.content) for choice in choices if choice.logprobs) <= last
        elif end == "a stop word":
            assert text == whole["text"][: whole["text"].index(members["stop"])]
        plain = site.completion(logprobs=0, stream=stream, **members)
        told = [chunk.choices[0] for chunk in plain] if stream else list(plain.choices)
        offsets = [place for choice in told if choice.logprobs for place in choice.logprobs.text_offset]
        assert offsets == sorted(offsets) and offsets[-1] < len("".join(choice.text for choice in told))


def test_t13_formats(site: Site) -> None:
    for stream in (False, True):
        wanted = {"type": "json_schema", "json_schema": {"name": "shop", "strict": True, "schema": SHOP}}
        answer = site.chat(response_format=wanted, max_tokens=200, stream=stream)
        text = text_of(list(answer)) if stream else answer.choices[0].message.content
        found = json.loads(text)
        assert set(found) == {"open", "aisle"}
        assert (type(found["open"]), found["aisle"] in (1, 2, 12)) == (bool, True)
    assert site.chat(response_format={"type": "text"}).choices[0].message.content
    some = site.chat(response_format={"type": "json_object"}, max_tokens=300).choices[0]
    assert some.message.content.lstrip().startswith("{")
    if some.finish_reason == "stop":
        assert isinstance(json.loads(some.message.content), dict)


RECURSIVE = {"$defs": {"n": {"type": "object", "properties": {"next": {"$ref": "#/$defs/n"}}}}, "$ref": "#/$defs/n"}
HUGE = {"type": "object", "properties": {f"p{number}": {"enum": list(range(20))} for number in range(400)}}


@pytest.mark.parametrize(
    "schema",
    [
        RECURSIVE,
        HUGE,
        {},
        {"$ref": "#"},
        {"$ref": "https://other.example/schema"},
        {"type": "nonsense"},
        {"type": "string", "pattern": "(a+)+$"},
        {"type": "string", "pattern": "("},
        {"type": "array", "minItems": 10**9},
        {"allOf": [{"type": "string"}, {"type": "integer"}]},
        {"enum": []},
    ],
    ids=str,
)
def test_t13_no_schema_kills_or_hangs(site: Site, schema: dict[str, Any]) -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "s", "schema": schema}}
    try:
        answer = site.chat(max_tokens=30, response_format=wanted, timeout=20)
        assert answer.choices[0].finish_reason in ("stop", "length")
    except openai.UnprocessableEntityError as error:
        assert error.code == "invalid_grammar"
    assert site.chat().usage.completion_tokens > 0


def test_t14_a_call_of_a_tool(site: Site) -> None:
    for choice in ("required", {"type": "function", "function": {"name": "find"}}):
        whole = site.chat(tools=TOOLS, tool_choice=choice, max_tokens=300).choices[0]
        assert whole.finish_reason == "tool_calls"
        call = whole.message.tool_calls[0]
        assert call.id.startswith("call_")
        assert call.function.name in ("find", "close")
        assert isinstance(json.loads(call.function.arguments), dict)
        if choice != "required":
            assert call.function.name == "find"
            assert set(json.loads(call.function.arguments)) == {"open", "aisle"}
        chunks = list(site.chat(tools=TOOLS, tool_choice=choice, max_tokens=300, stream=True))
        deltas = [part for chunk in chunks for part in chunk.choices[0].delta.tool_calls or []]
        assert [delta.index for delta in deltas] == [0] * len(deltas)
        assert deltas[0].id
        assert deltas[0].function.name == call.function.name
        assert all(delta.id is None and delta.function.name is None for delta in deltas[1:])
        assert len(deltas) > 2
        assert "".join(delta.function.arguments for delta in deltas) == call.function.arguments
        assert chunks[-1].choices[0].finish_reason == "tool_calls"


def test_t14_tools_that_are_not_called_leave_the_text_alone(site: Site) -> None:
    plain = site.chat()
    for choice in ("auto", "none"):
        answer = site.chat(tools=TOOLS, tool_choice=choice)
        assert answer.choices[0].message.tool_calls is None
        assert answer.choices[0].message.content == plain.choices[0].message.content
