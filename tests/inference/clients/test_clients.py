# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""LangChain and LiteLLM, as their users have them, ask the real server with the fixture model. Each runs in the
environment of its own lock and prints what came; what it must be is said here."""

from __future__ import annotations

import json
import math
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from holdfast_inference.server.settings import EngineSettings

from dev.clients import python_of
from dev.fixture.versions import NAME, VERSIONS, export_version
from tests.inference.engine.asking import make_embedding_model
from tests.inference.server.real_site import real_site

HERE = Path(__file__).resolve().parent
ANSWER = "The lamp is in aisle 17."
PATIENCE = 240


@pytest.fixture(scope="module")
def ask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Any]]:
    """Run one of the programs beside this file against a server that has a model to talk to and one that embeds."""
    folder = tmp_path_factory.mktemp("clients")
    model = folder / "shop"
    export_version(VERSIONS[0], model)
    models = {NAME: model, "near": make_embedding_model(tmp_path_factory.mktemp("near"))}
    python = python_of("client")
    with real_site(folder, model, models=models, engine=EngineSettings(threads=1)) as site:
        # Nothing of the tests' own environment, and no way to anybody else by a key or a proxy of this machine.
        environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "NO_PROXY": "*"}
        environment |= {"HOLDFAST_URL": site.server.url, "HOLDFAST_KEY": site.server.key}

        def run(name: str) -> Any:
            done = subprocess.run(
                [str(python), str(HERE / f"{name}.py")],
                env=environment,
                cwd=folder,
                capture_output=True,
                text=True,
                timeout=PATIENCE,
                check=False,
            )
            assert done.returncode == 0, done.stderr[-4000:]
            return json.loads(done.stdout.splitlines()[-1])

        yield run


def assert_vectors(first: list[float], second: list[float]) -> None:
    assert len(first) == len(second) == 128
    assert math.isclose(math.fsum(value * value for value in first), 1, rel_tol=1e-4)
    assert first != second


def test_langchain(ask: Callable[[str], Any]) -> None:
    told = ask("with_langchain")

    whole = told["invoked"]
    assert (whole["text"], whole["finish_reason"], whole["model"]) == (ANSWER, "stop", NAME)
    assert whole["fingerprint"]
    assert whole["usage"]["input_tokens"] + whole["usage"]["output_tokens"] == whole["usage"]["total_tokens"]

    parts = told["streamed"]["parts"]
    assert "".join(parts) == ANSWER
    assert len(parts) > 4
    assert told["streamed"]["finish_reason"] == "stop"
    assert told["streamed"]["usage"]["output_tokens"] == whole["usage"]["output_tokens"]

    assert told["side_by_side"][0] == told["side_by_side"][2] == ANSWER
    assert told["side_by_side"][1].startswith("The kettle costs ")

    tools = told["tools"]
    (called,), (streamed,) = tools["whole"], tools["streamed"]
    assert called["name"] == streamed["name"] == "find"
    assert called["args"] == streamed["args"]
    assert called["args"]["product"] in ("lamp", "kettle")
    assert isinstance(called["args"]["in_stock"], bool)
    assert called["id"].startswith("call_") and streamed["id"].startswith("call_")
    assert (tools["invalid"], tools["finish_reason"], tools["goes_on"]) == ([], "tool_calls", True)

    for way in ("json_schema", "function_calling", "streamed"):
        assert told["structured"][way]["product"] in ("lamp", "kettle"), way
        assert isinstance(told["structured"][way]["in_stock"], bool), way

    assert_vectors(*told["embedded"]["documents"])
    assert told["embedded"]["query"] == told["embedded"]["documents"][0]

    # The token that ends the answer was drawn too: it is counted, and told to nobody.
    assert "".join(token["token"] for token in told["probabilities"]) == ANSWER
    assert len(told["probabilities"]) == whole["usage"]["output_tokens"] - 1
    assert all(len(token["top_logprobs"]) == 2 and token["logprob"] <= 0 for token in told["probabilities"])

    assert told["refused"] == {
        "key": ["AuthenticationError", "OpenAIAuthenticationError", "invalid_api_key"],
        "model": ["NotFoundError", "OpenAIModelNotFoundError", "model_not_found"],
        "context": ["BadRequestError", "OpenAIContextOverflowError", "context_length_exceeded"],
    }


def test_litellm(ask: Callable[[str], Any]) -> None:
    told = ask("with_litellm")

    whole, streamed = told["whole"], told["streamed"]
    assert (whole["text"], whole["finish_reason"], whole["calls"]) == (ANSWER, "stop", [])
    assert "".join(streamed["parts"]) == ANSWER
    assert len(streamed["parts"]) > 4
    assert {name: streamed[name] for name in whole} == whole
    assert whole["usage"][0] + whole["usage"][1] == whole["usage"][2]
    assert all(ANSWER.startswith(text) for text in told["side_by_side"])
    assert told["side_by_side"][1] == ANSWER
    assert set(told["providers"].values()) == {ANSWER}
    assert told["texts"]["whole"] == told["texts"]["streamed"] != ""

    for asked in (told["tools"], told["tools_streamed"]):
        ((call_id, name, arguments),) = asked["calls"]
        assert call_id.startswith("call_")
        assert (name, asked["finish_reason"]) == ("find", "tool_calls")
        assert set(json.loads(arguments)) == {"product", "in_stock"}
    assert told["tools"]["calls"][0][2] == told["tools_streamed"]["calls"][0][2]
    assert set(json.loads(told["schema"])) == {"product", "in_stock"}
    assert told["object"].startswith("{")

    assert_vectors(*told["vectors"])

    assert told["refused"] == {
        "key": ["AuthenticationError", 401],
        "model": ["NotFoundError", 404],
        "context": ["ContextWindowExceededError", 400],
        "value": ["BadRequestError", 400],
    }
