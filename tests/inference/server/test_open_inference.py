# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Open Inference Protocol v2 and its generate extension, on a real engine."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from .real_site import MODEL, Site, real_site

PARAMETERS = {"max_tokens": 20, "temperature": 0}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with real_site(tmp_path_factory.mktemp("site")) as site:
        yield site


@pytest.fixture
def client(site: Site) -> Iterator[httpx.Client]:
    with site.server.client() as client:
        yield client


def test_what_server_and_model_are(client: httpx.Client) -> None:
    assert client.get("/v2").json()["extensions"] == ["generate"]
    told = client.get(f"/v2/models/{MODEL}").json()
    assert (told["name"], told["inputs"][0]["datatype"]) == (MODEL, "BYTES")
    version = told["versions"][0]
    assert client.get(f"/v2/models/{MODEL}/versions/{version}").json() == told
    assert client.get(f"/v2/models/{MODEL}/versions/{version}/ready").json()["ready"] is True
    assert client.get(f"/v2/models/{MODEL}/versions/1").status_code == 404
    assert client.get("/v2/models/other/ready").status_code == 404


def test_the_four_ways_give_the_same_text(site: Site, client: httpx.Client) -> None:
    wanted = site.completion("The lamp is in", max_tokens=20).choices[0].text
    asked = {"text_input": "The lamp is in", "parameters": PARAMETERS}
    told = client.post(f"/v2/models/{MODEL}/generate", json=asked).json()
    assert (told["model_name"], told["text_output"]) == (MODEL, wanted)
    beside = client.post(f"/v2/models/{MODEL}/generate", json={"text_input": "The lamp is in", **PARAMETERS}).json()
    assert beside["text_output"] == wanted
    stream = client.post(f"/v2/models/{MODEL}/generate_stream", json=asked)
    events = [json.loads(line[6:]) for line in stream.content.decode().split("\n") if line.startswith("data: ")]
    assert "".join(event["text_output"] for event in events) == wanted
    assert [event.get("finish_reason") for event in events] == [None] * (len(events) - 1) + ["length"]
    tensor = {"name": "text_input", "datatype": "BYTES", "shape": [1], "data": ["The lamp is in"]}
    inferred = client.post(f"/v2/models/{MODEL}/infer", json={"id": "7", "inputs": [tensor], "parameters": PARAMETERS})
    assert (inferred.json()["id"], inferred.json()["outputs"][0]["data"]) == ("7", [wanted])


def test_a_seed_by_its_name_here(client: httpx.Client) -> None:
    def text(seed: int) -> Any:
        parameters = {"max_tokens": 20, "temperature": 1, "random_seed": seed}
        return client.post(
            f"/v2/models/{MODEL}/generate", json={"text_input": "The lamp", "parameters": parameters}
        ).json()["text_output"]

    assert text(1) == text(1) != text(2)


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        (f"/v2/models/{MODEL}/generate", {}, 400),
        (f"/v2/models/{MODEL}/generate", {"text_input": 3}, 400),
        (f"/v2/models/{MODEL}/generate", {"text_input": "x", "parameters": {"max_tokens": 0}}, 400),
        ("/v2/models/other/generate", {"text_input": "x"}, 404),
        (f"/v2/models/{MODEL}/infer", {"inputs": []}, 400),
        (f"/v2/models/{MODEL}/infer", {"inputs": [{"name": "text_input", "datatype": "INT8", "data": [1]}]}, 400),
        (f"/v2/models/{MODEL}/infer", {"inputs": [{"name": "text_input", "datatype": "BYTES", "data": []}]}, 400),
    ],
)
def test_errors_have_the_one_shape(client: httpx.Client, path: str, body: dict[str, Any], status: int) -> None:
    response = client.post(path, json=body)
    assert response.status_code == status
    assert set(response.json()["error"]) == {"message", "type", "param", "code"}
