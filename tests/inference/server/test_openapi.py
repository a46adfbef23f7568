# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The OpenAPI document agrees with what the server reads, where it listens, and what it says."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import jsonschema  # type: ignore[import-untyped]
import pytest
from holdfast_inference.server.app import ROUTES
from holdfast_inference.server.chat import read_chat
from holdfast_inference.server.completions import read_completion
from holdfast_inference.server.embeddings import read_embedding
from holdfast_inference.server.errors import ApiError
from holdfast_inference.server.fields import Fields
from holdfast_inference.server.generate import read_generate
from holdfast_inference.server.openapi import OPERATIONS, document
from holdfast_inference.server.settings import Limits
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

USER = {"role": "user", "content": "Where?"}


def validator(name: str) -> jsonschema.Draft202012Validator:
    whole = {"$ref": f"#/components/schemas/{name}", "components": document()["components"]}
    jsonschema.Draft202012Validator.check_schema(whole)
    return jsonschema.Draft202012Validator(whole)


def test_every_route_is_described_with_its_methods() -> None:
    served = {
        (method.lower(), route.path.replace(":path", ""))
        for route in ROUTES
        for method in route.methods or ()
        if method != "HEAD"
    }
    assert served == {(operation.method, operation.path) for operation in OPERATIONS}


# What is read of /generate where the model is known already.
LATER = {"id", "model", "prompt", "prompt_ids", "messages", "forced_output_ids"}
LATER |= {"digest", "priority", "pin_prefix", "embed", "backup", "client"}


@pytest.mark.parametrize(
    ("name", "read", "least"),
    [
        ("ChatRequest", read_chat, {"messages": [USER]}),
        ("CompletionRequest", read_completion, {"prompt": "x"}),
        ("GenerateRequest", read_generate, {}),
        ("EmbeddingRequest", lambda fields, _: read_embedding(fields), {"model": "shop", "input": "x"}),
    ],
)
def test_every_member_that_is_read_is_described_and_the_other_way_round(
    name: str, read: Callable[[Fields, Limits], Any], least: dict[str, Any]
) -> None:
    fields = Fields({**least})
    read(fields, Limits())
    described = set(document()["components"]["schemas"][name]["properties"])
    unread = Fields(dict.fromkeys(described, 0))
    unread.known(*fields._asked)
    assert fields._asked <= described
    assert set(unread.unknown()) <= (LATER if name == "GenerateRequest" else set())


@pytest.mark.parametrize(
    ("path", "body", "name"),
    [
        ("/v1/chat/completions", {"messages": [USER], "logprobs": True, "n": 2}, "ChatResponse"),
        ("/v1/completions", {"prompt": ["a", "b"], "logprobs": 1}, "CompletionResponse"),
        ("/generate", {"prompt": "a", "logprobs": 1}, "GenerateResponse"),
        ("/v2/models/shop/generate", {"text_input": "a"}, "V2GenerateResponse"),
        (
            "/v2/models/shop/infer",
            {"inputs": [{"name": "text_input", "datatype": "BYTES", "shape": [1], "data": ["a"]}]},
            "V2InferResponse",
        ),
        ("/v1/embeddings", {"model": "shop", "input": "a"}, "Error"),
        ("/v1/chat/completions", {"messages": []}, "Error"),
    ],
)
def test_answers_are_as_described(client: httpx.Client, path: str, body: dict[str, Any], name: str) -> None:
    validator(name).validate(client.post(path, json=body).json())
    request = document()["paths"][path.replace("shop", "{model}")]["post"]["requestBody"]["content"]["application/json"]
    if name != "Error":
        validator(request["schema"]["$ref"].rpartition("/")[2]).validate(body)


def test_the_document_is_served(client: httpx.Client) -> None:
    assert client.get("/openapi.json").json() == json.loads(json.dumps(document()))


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
PLAUSIBLE = st.sampled_from(
    [0, 1, 2, 0.5, "auto", "required", "a", ["a"], [1], [[1]], {}, {"type": "text"}, [USER], None]
)


@pytest.mark.parametrize(
    ("name", "read", "least"),
    [
        ("ChatRequest", read_chat, {"messages": [USER]}),
        ("CompletionRequest", read_completion, {"prompt": "x"}),
        ("GenerateRequest", read_generate, {}),
        ("EmbeddingRequest", lambda fields, _: read_embedding(fields), {"model": "shop", "input": "x"}),
    ],
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_whatever_comes_is_understood_or_refused_and_the_schema_knows_which(
    name: str, read: Callable[[Fields, Limits], Any], least: dict[str, Any], data: st.DataObject
) -> None:
    members = sorted(document()["components"]["schemas"][name]["properties"])
    drawn = data.draw(st.dictionaries(st.sampled_from(members), VALUES | PLAUSIBLE, max_size=3))
    body = json.loads(json.dumps({**least, **drawn}))
    try:
        read(Fields(body), Limits())
    except ApiError as error:
        assert error.status in (400, 422)
        return
    told = {member: value for member, value in body.items() if name != "GenerateRequest" or member not in LATER}
    validator(name).validate(told)
