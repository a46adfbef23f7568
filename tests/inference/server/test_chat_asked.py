# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Chat requests: what is understood, and what each wrong one is told."""

from __future__ import annotations

import json
from typing import Any

import pytest
from holdfast_inference.server.chat import ChatAsked, read_chat
from holdfast_inference.server.errors import ApiError
from holdfast_inference.server.fields import Fields
from holdfast_inference.server.settings import Limits

USER = {"role": "user", "content": "Where is the lamp?"}
TOOL = {"type": "function", "function": {"name": "aisle", "parameters": {"type": "object", "properties": {}}}}


def chat(**members: Any) -> ChatAsked:
    return read_chat(Fields({"model": "m", "messages": [USER], **members}), Limits())


def refused(**members: Any) -> ApiError:
    with pytest.raises(ApiError) as caught:
        chat(**members)
    return caught.value


def test_defaults() -> None:
    asked = chat().asked
    assert (asked.max_tokens, asked.choices, asked.stream, asked.logprobs, asked.grammar) == (
        None,
        1,
        False,
        None,
        None,
    )
    assert (asked.sampling.temperature, asked.sampling.top_p) == (1.0, 1.0)
    assert asked.sampling.seed != chat().asked.sampling.seed


def test_contents_as_text_as_parts_and_absent() -> None:
    messages = [
        {"role": "system", "content": "Be short."},
        {"role": "developer", "content": [{"type": "text", "text": "Be"}, {"type": "text", "text": "kind."}]},
        USER,
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "aisle", "arguments": '{"of": "lamp"}'}}
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "12"},
    ]
    read = chat(messages=messages).messages
    assert [message["role"] for message in read] == ["system", "system", "user", "assistant", "tool"]
    assert [message["content"] for message in read] == ["Be short.", "Be\nkind.", "Where is the lamp?", "", "12"]
    assert read[3]["tool_calls"][0]["function"] == {"name": "aisle", "arguments": {"of": "lamp"}}
    assert read[4]["tool_call_id"] == "c1"


def test_the_newer_name_of_max_tokens_wins() -> None:
    assert chat(max_tokens=5).asked.max_tokens == 5
    assert chat(max_completion_tokens=6).asked.max_tokens == 6
    assert chat(max_completion_tokens=6, max_tokens=5).asked.max_tokens == 6


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"messages": []}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": [1]}, "messages[0]"),
        ({"messages": [{"content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": 3}]}, "messages[0].content"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].text"),
        ({"temperature": "0.7"}, "temperature"),
        ({"temperature": 2.1}, "temperature"),
        ({"n": 0}, "n"),
        ({"n": 9}, "n"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"stop": ["a", "b", "c", "d", "e"]}, "stop"),
        ({"stop": ["a", 1]}, "stop"),
        ({"stop": ""}, "stop"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"logit_bias": {"a": 1}}, "logit_bias"),
        ({"logit_bias": {"1": 101}}, "logit_bias.1"),
        ({"response_format": {"type": "xml"}}, "response_format.type"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"schema": 3}}},
            "response_format.json_schema.schema",
        ),
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        ({"tools": [{"type": "function", "function": {"name": "a b"}}]}, "tools[0].function.name"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": [TOOL], "tool_choice": "always"}, "tool_choice"),
        ({"tools": [TOOL], "tool_choice": {"type": "function", "function": {"name": "other"}}}, "tool_choice"),
        ({"tools": [TOOL], "tool_choice": "required", "response_format": {"type": "json_object"}}, "response_format"),
    ],
)
def test_what_is_wrong_is_a_400_that_names_it(members: dict[str, Any], param: str) -> None:
    error = refused(**members)
    assert (error.status, error.param) == (400, param)


@pytest.mark.parametrize(
    "members",
    [
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:"}}]}]},
        {"modalities": ["text", "audio"]},
        {"tools": [{"type": "web_search"}]},
    ],
)
def test_what_no_text_model_can_do_is_a_422(members: dict[str, Any]) -> None:
    assert refused(**members).status == 422


def test_a_schema_has_a_size_limit() -> None:
    schema = {"type": "object", "properties": {f"p{number}": {"type": "string"} for number in range(10_000)}}
    members = {"response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": schema}}}
    assert "larger" in refused(**members).message


def test_a_required_call_has_a_grammar_whose_references_still_hold() -> None:
    parameters = {
        "type": "object",
        "properties": {"next": {"$ref": "#/$defs/node"}, "$ref": {"type": "string"}},
        "$defs": {"node": {"type": "object", "properties": {"next": {"$ref": "#"}}}},
    }
    tools = [TOOL, {"type": "function", "function": {"name": "walk", "parameters": parameters}}]
    several = chat(tools=tools, tool_choice="required")
    assert several.asked.grammar is not None
    schema = json.loads(several.asked.grammar.text)
    arguments = schema["anyOf"][1]["properties"]["arguments"]
    assert arguments["properties"]["next"]["$ref"] == "#/anyOf/1/properties/arguments/$defs/node"
    assert arguments["$defs"]["node"]["properties"]["next"]["$ref"] == "#/anyOf/1/properties/arguments"
    one = chat(tools=tools, tool_choice={"type": "function", "function": {"name": "walk"}})
    assert one.asked.grammar is not None
    single = json.loads(one.asked.grammar.text)["properties"]["arguments"]
    assert single["properties"]["next"]["$ref"] == "#/properties/arguments/$defs/node"


@pytest.mark.parametrize(
    ("parameters", "closed"),
    [
        ({"properties": {}}, False),
        ({"properties": {}, "additionalProperties": True}, True),
        ({"properties": {}, "additionalProperties": {"type": "string"}}, {"type": "string"}),
        ({"properties": {}, "anyOf": [{"required": ["a"]}]}, None),
        ({"type": "object"}, None),
    ],
)
def test_a_call_has_no_arguments_that_its_tool_does_not_name(parameters: dict[str, Any], closed: Any) -> None:
    tool = {"type": "function", "function": {"name": "find", "parameters": parameters}}
    asked = chat(tools=[tool], tool_choice="required").asked
    assert asked.grammar is not None
    assert json.loads(asked.grammar.text)["properties"]["arguments"].get("additionalProperties") == closed


def test_tools_that_must_not_be_called_are_not_shown() -> None:
    assert chat(tools=[TOOL], tool_choice="none").tools.shown == ()
    assert chat(tools=[TOOL]).tools.use == "may"


def test_unknown_members_are_noticed() -> None:
    fields = Fields({"model": "m", "messages": [USER], "user": "me", "frobnicate": 1})
    read_chat(fields, Limits())
    assert fields.unknown() == ["frobnicate"]
