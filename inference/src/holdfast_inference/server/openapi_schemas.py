# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""The objects of the API as JSON schemas. Requests may have further members, which are ignored and counted."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]


def reference(name: str) -> Schema:
    """A schema by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


def _number(low: float, high: float) -> Schema:
    return {"type": ["number", "null"], "minimum": low, "maximum": high}


def _integer(low: int, high: int = 2**31 - 1) -> Schema:
    return {"type": ["integer", "null"], "minimum": low, "maximum": high}


def _array(items: Schema, most: int, least: int = 0) -> Schema:
    return {"type": "array", "items": items, "minItems": least, "maxItems": most}


def _object(required: tuple[str, ...], **properties: Schema) -> Schema:
    return {"type": "object", "required": list(required), "properties": properties}


TEXT: Schema = {"type": "string"}
OPTIONAL_TEXT: Schema = {"type": ["string", "null"]}
OPTIONAL_BOOLEAN: Schema = {"type": ["boolean", "null"]}
ANYTHING: Schema = {}
IDS = _array({"type": "integer", "minimum": 0, "maximum": 2**31 - 1}, 10**6)
WORDS: Schema = {
    "anyOf": [{"type": "string", "minLength": 1}, _array({"type": "string", "minLength": 1}, 4), {"type": "null"}]
}
TEXTS: Schema = {"anyOf": [TEXT, _array(TEXT, 8, 1), {**IDS, "minItems": 1}, _array({**IDS, "minItems": 1}, 8, 1)]}

SAMPLING: dict[str, Schema] = {
    "temperature": _number(0, 2),
    "top_p": _number(0, 1),
    "top_k": _integer(-1),
    "min_p": _number(0, 1),
    "seed": _integer(-(2**63), 2**63 - 1),
    "presence_penalty": _number(-2, 2),
    "frequency_penalty": _number(-2, 2),
    "repetition_penalty": _number(0.01, 10),
    "logit_bias": {
        "type": ["object", "null"],
        "propertyNames": {"pattern": "^[0-9]{1,9}$"},
        "additionalProperties": {"type": "number", "minimum": -100, "maximum": 100},
    },
}
COMMON: dict[str, Schema] = {
    **SAMPLING,
    "model": OPTIONAL_TEXT,
    "max_tokens": _integer(1),
    "max_completion_tokens": _integer(1),
    "min_tokens": _integer(0),
    "n": _integer(1, 8),
    "stop": WORDS,
    "stop_token_ids": {**IDS, "type": ["array", "null"]},
    "ignore_eos": OPTIONAL_BOOLEAN,
    "stream": OPTIONAL_BOOLEAN,
    "stream_options": {
        "type": ["object", "null"],
        "properties": {"include_usage": OPTIONAL_BOOLEAN, "include_obfuscation": ANYTHING},
    },
    "user": ANYTHING,
}
CALL = _object(
    ("id", "type", "function"),
    id=TEXT,
    type={"const": "function"},
    function=_object(("name", "arguments"), name=TEXT, arguments=TEXT),
)
PART: Schema = {
    "anyOf": [
        _object(("type", "text"), type={"const": "text"}, text=TEXT),
        _object(("type", "refusal"), type={"const": "refusal"}, refusal=TEXT),
    ]
}
CONTENT: Schema = {"anyOf": [TEXT, _array(PART, 1000)]}
MESSAGE: Schema = {
    "anyOf": [
        _object(
            ("role", "content"), role={"enum": ["system", "developer", "user"]}, content=CONTENT, name=OPTIONAL_TEXT
        ),
        _object(("role", "content"), role={"const": "assistant"}, content=CONTENT, name=OPTIONAL_TEXT),
        _object(
            ("role", "tool_calls"),
            role={"const": "assistant"},
            content={"anyOf": [*CONTENT["anyOf"], {"type": "null"}]},
            tool_calls=_array(CALL, 128, 1),
        ),
        _object(("role", "content", "tool_call_id"), role={"const": "tool"}, content=CONTENT, tool_call_id=TEXT),
    ]
}
TOOL = _object(
    ("type", "function"),
    type={"const": "function"},
    function=_object(
        ("name",),
        name={"type": "string", "pattern": "^[A-Za-z0-9_.-]{1,64}$"},
        description=OPTIONAL_TEXT,
        parameters={"type": ["object", "null"]},
        strict=ANYTHING,
    ),
)
CHAT_REQUEST = _object(
    ("messages",),
    **COMMON,
    messages=_array(MESSAGE, 4096, 1),
    logprobs=OPTIONAL_BOOLEAN,
    top_logprobs=_integer(0, 20),
    response_format={
        "type": ["object", "null"],
        "properties": {
            "type": {"enum": ["text", "json_object", "json_schema"]},
            "json_schema": _object(
                (), name=ANYTHING, description=ANYTHING, strict=ANYTHING, schema={"type": ["object", "boolean"]}
            ),
        },
    },
    tools={**_array(TOOL, 128), "type": ["array", "null"]},
    tool_choice={
        "anyOf": [
            {"enum": ["none", "auto", "required", None]},
            _object(("type", "function"), type={"const": "function"}, function=_object(("name",), name=TEXT)),
        ]
    },
    parallel_tool_calls=OPTIONAL_BOOLEAN,
    modalities={"anyOf": [{"const": ["text"]}, {"type": "null"}]},
    **dict.fromkeys(("metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key"), ANYTHING),
)
COMPLETION_REQUEST = _object(
    ("prompt",),
    **COMMON,
    prompt=TEXTS,
    logprobs=_integer(0, 5),
    echo=OPTIONAL_BOOLEAN,
    suffix={"enum": ["", None]},
    best_of=_integer(1),
)
GENERATE_REQUEST = _object(
    (),
    **SAMPLING,
    id={"type": ["string", "null"], "pattern": "^[A-Za-z0-9._:-]{1,128}$"},
    model=OPTIONAL_TEXT,
    prompt=OPTIONAL_TEXT,
    prompt_ids={**IDS, "type": ["array", "null"]},
    messages={**_array(MESSAGE, 4096), "type": ["array", "null"]},
    forced_output_ids={**IDS, "type": ["array", "null"]},
    digest=OPTIONAL_TEXT,
    max_tokens=_integer(1),
    min_tokens=_integer(0),
    stop=WORDS,
    stop_ids={**IDS, "type": ["array", "null"]},
    logprobs=_integer(0, 20),
    grammar={
        "type": ["object", "null"],
        "properties": {"kind": {"enum": ["json_schema", "json_object", "regex", "lark"]}, "text": OPTIONAL_TEXT},
    },
    priority=_integer(-999, 999),
    pin_prefix=_integer(0),
    ignore_eos=OPTIONAL_BOOLEAN,
    embed=OPTIONAL_BOOLEAN,
    backup=OPTIONAL_BOOLEAN,
    client=OPTIONAL_TEXT,
    stream=OPTIONAL_BOOLEAN,
)
V2_PARAMETERS: dict[str, Schema] = {
    **SAMPLING,
    "max_tokens": _integer(1),
    "stop": WORDS,
    "stop_words": WORDS,
    "random_seed": _integer(0, 2**63 - 1),
    "stream": ANYTHING,
    "streaming": ANYTHING,
}
V2_GENERATE_REQUEST = _object(
    ("text_input",), text_input=TEXT, id=ANYTHING, parameters={"type": ["object", "null"], "properties": V2_PARAMETERS}
)
V2_INFER_REQUEST = _object(
    ("inputs",),
    id=OPTIONAL_TEXT,
    inputs=_array(
        _object(
            ("name", "datatype", "data"),
            name={"const": "text_input"},
            datatype={"const": "BYTES"},
            shape=ANYTHING,
            data=_array(TEXT, 1, 1),
        ),
        1,
        1,
    ),
    parameters={"type": ["object", "null"], "properties": V2_PARAMETERS},
    outputs=ANYTHING,
)
EMBEDDING_REQUEST = _object(
    ("model", "input"),
    model=TEXT,
    input={
        "anyOf": [
            {"type": "string", "minLength": 1},
            _array({"anyOf": [{"type": "string", "minLength": 1}, {**IDS, "minItems": 1}]}, 2048, 1),
            {**IDS, "minItems": 1},
        ]
    },
    encoding_format={"enum": ["float", "base64", None]},
    dimensions=_integer(1, 2**16),
    user=ANYTHING,
)

USAGE = _object(
    ("prompt_tokens", "completion_tokens", "total_tokens"),
    prompt_tokens={"type": "integer"},
    completion_tokens={"type": "integer"},
    total_tokens={"type": "integer"},
    prompt_tokens_details=_object(("cached_tokens",), cached_tokens={"type": "integer"}),
)
_HEAD: dict[str, Schema] = {"id": TEXT, "created": {"type": "integer"}, "model": TEXT, "system_fingerprint": TEXT}
CHAT_RESPONSE = _object(
    ("id", "object", "created", "model", "choices", "usage"),
    **_HEAD,
    object={"const": "chat.completion"},
    choices=_array(
        _object(
            ("index", "message", "finish_reason"),
            index={"type": "integer"},
            message=_object(
                ("role", "content"),
                role={"const": "assistant"},
                content=OPTIONAL_TEXT,
                refusal={"type": "null"},
                tool_calls=_array(CALL, 128),
            ),
            logprobs={"type": ["object", "null"]},
            finish_reason={"enum": ["stop", "length", "tool_calls"]},
        ),
        8,
        1,
    ),
    usage=USAGE,
)
COMPLETION_RESPONSE = _object(
    ("id", "object", "created", "model", "choices", "usage"),
    **_HEAD,
    object={"const": "text_completion"},
    choices=_array(
        _object(
            ("index", "text", "finish_reason"),
            index={"type": "integer"},
            text=TEXT,
            logprobs={"type": ["object", "null"]},
            finish_reason={"enum": ["stop", "length"]},
        ),
        8,
        1,
    ),
    usage=USAGE,
)
EMBEDDING_RESPONSE = _object(
    ("object", "data", "model", "usage"),
    object={"const": "list"},
    data=_array(
        _object(
            ("object", "index", "embedding"),
            object={"const": "embedding"},
            index={"type": "integer"},
            embedding={"anyOf": [_array({"type": "number"}, 2**16, 1), TEXT]},
        ),
        2048,
        1,
    ),
    model=TEXT,
    usage=_object(
        ("prompt_tokens", "total_tokens"), prompt_tokens={"type": "integer"}, total_tokens={"type": "integer"}
    ),
)
GENERATE_RESPONSE = _object(
    ("id", "model", "digest", "text", "ids", "finish_reason", "usage"),
    id=TEXT,
    model=TEXT,
    digest=TEXT,
    fingerprint=TEXT,
    text=TEXT,
    ids=IDS,
    finish_reason={"enum": ["stop", "length"]},
    stop=OPTIONAL_TEXT,
    usage=_object(("prompt", "completion", "cached")),
    tokens=_array(ANYTHING, 10**6),
    vector=_array({"type": "number"}, 2**16),
)
V2_GENERATE_RESPONSE = _object(
    ("model_name", "model_version", "text_output"), model_name=TEXT, model_version=TEXT, text_output=TEXT
)
V2_INFER_RESPONSE = _object(
    ("model_name", "outputs"), model_name=TEXT, model_version=TEXT, id=TEXT, outputs=_array(ANYTHING, 1, 1)
)
ERROR = _object(
    ("error",),
    error=_object(("message", "type", "param", "code"), message=TEXT, type=TEXT, param=OPTIONAL_TEXT, code=TEXT),
)
ANY_OBJECT: Schema = {"type": "object"}

SCHEMAS: dict[str, Schema] = {
    "ChatRequest": CHAT_REQUEST,
    "ChatResponse": CHAT_RESPONSE,
    "CompletionRequest": COMPLETION_REQUEST,
    "CompletionResponse": COMPLETION_RESPONSE,
    "GenerateRequest": GENERATE_REQUEST,
    "GenerateResponse": GENERATE_RESPONSE,
    "EmbeddingRequest": EMBEDDING_REQUEST,
    "EmbeddingResponse": EMBEDDING_RESPONSE,
    "V2GenerateRequest": V2_GENERATE_REQUEST,
    "V2GenerateResponse": V2_GENERATE_RESPONSE,
    "V2InferRequest": V2_INFER_REQUEST,
    "V2InferResponse": V2_INFER_RESPONSE,
    "Error": ERROR,
    "Object": ANY_OBJECT,
}
