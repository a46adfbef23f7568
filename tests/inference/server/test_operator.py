# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What operators do: probe with golden questions, exchange a model under load, look at metrics. A real engine."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.inference.engine.asking import make_model

from .real_site import MODEL, Site, real_site
from .running import wait_until

ASK: dict[str, Any] = {"model": MODEL, "prompt": "The lamp is in", "max_tokens": 20, "temperature": 0}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with real_site(tmp_path) as site:
        yield site


@pytest.fixture
def client(site: Site) -> Iterator[httpx.Client]:
    with site.server.client() as client:
        yield client


@pytest.fixture
def operator(site: Site) -> Iterator[httpx.Client]:
    with site.server.operator() as operator:
        yield operator


def test_a_probe_counts_right_answers_and_is_told(site: Site, client: httpx.Client, operator: httpx.Client) -> None:
    prompts = ["The lamp", "The chair", "A table", "8:30"]
    answers = [site.completion(prompt).choices[0].text for prompt in prompts]
    samples = [{"prompt": prompt, "answer": answer} for prompt, answer in zip(prompts, answers, strict=True)]
    samples[3]["answer"] = "something else"
    told = operator.post("/admin/probe", json={"samples": samples, "max_tokens": 24, "chat": False}).json()
    assert (told["asked"], told["right"], told["accuracy"]) == (4, 3, 0.75)
    assert [wrong["prompt"] for wrong in told["first_wrong"]] == ["8:30"]
    assert client.get("/metrics/summary").json()["golden"]["accuracy"] == 0.75
    assert f'holdfast_golden_accuracy{{model="{MODEL}"}} 0.75' in client.get("/metrics").text


def test_a_model_is_exchanged_under_load_and_comes_back(
    site: Site, client: httpx.Client, operator: httpx.Client, tmp_path: Path
) -> None:
    other = make_model(tmp_path / "other", seed=1)
    wanted = json.loads((other / "model.json").read_text(encoding="utf-8"))["digest"]
    first, before = client.post("/generate", json=ASK).json(), client.get("/v1/models").json()["data"][0]["digest"]
    over = threading.Event()
    seen: list[tuple[int, str, str]] = []

    def ask_on() -> None:
        with site.server.client() as asking:
            while not over.is_set():
                response = asking.post("/generate", json=ASK)
                told = response.json()
                seen.append((response.status_code, told.get("digest", ""), told.get("text", "")))

    asking = [threading.Thread(target=ask_on) for _ in range(3)]
    for thread in asking:
        thread.start()
    refused = operator.post("/admin/activate", json={"model": MODEL, "folder": str(other), "digest": before})
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "wrong_digest")
    changed = operator.post("/admin/activate", json={"model": MODEL, "folder": str(other), "digest": wanted})
    assert (changed.status_code, changed.json()["digest"]) == (200, wanted)
    second = client.post("/generate", json=ASK).json()
    back = operator.post("/admin/roll_back", json={"model": MODEL})
    assert (back.status_code, back.json()["digest"]) == (200, before)
    over.set()
    for thread in asking:
        thread.join(10)
    assert {status for status, _, _ in seen} == {200}
    assert second["digest"] == wanted
    assert {(digest, text) for _, digest, text in seen} <= {(before, first["text"]), (wanted, second["text"])}
    assert client.post("/generate", json=ASK).json()["text"] == first["text"]


@pytest.mark.parametrize("way", ["missing", "cut", "changed", "relative"])
def test_a_folder_that_is_no_whole_model_changes_nothing(
    site: Site, client: httpx.Client, operator: httpx.Client, tmp_path: Path, way: str
) -> None:
    before = client.post("/generate", json=ASK).json()
    other = make_model(tmp_path / "other", seed=1)
    weights = other / "weights.bin"
    if way == "cut":
        weights.write_bytes(weights.read_bytes()[:-10])
    elif way == "changed":
        weights.write_bytes(weights.read_bytes()[:-1] + b"!")
    folder = {"missing": str(tmp_path / "nowhere"), "relative": "other"}.get(way, str(other))
    response = operator.post("/admin/activate", json={"model": MODEL, "folder": folder})
    assert response.status_code == (400 if way == "relative" else 422)
    assert len(response.json()["error"]["message"]) > 20
    after = client.post("/generate", json=ASK).json()
    assert (after["digest"], after["text"]) == (before["digest"], before["text"])


def test_metrics_are_well_formed_and_agree_with_what_was_asked(client: httpx.Client) -> None:
    for _ in range(3):
        client.post("/v1/completions", json=ASK)
    client.post("/v1/completions", json={**ASK, "temperature": -1})

    def has_counted() -> bool:
        return 'holdfast_answers_total{model="tiny",reason="length"} 3' in client.get("/metrics").text

    wait_until(has_counted)
    text = client.get("/metrics").text
    names: set[str] = set()
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            name = line.split()[2]
            assert name not in names, f"{name} is there twice"
            names.add(name)
        elif not line.startswith("#"):
            assert re.fullmatch(
                r'[a-z_:][a-z0-9_:]*(\{([a-z_]+="[^"]*",?)+\})? [0-9.e+-]+|.*_bucket\{.*\} [0-9]+', line
            ), line
            assert any(line.startswith(name) for name in names)
    assert 'holdfast_completion_tokens_total{model="tiny"} 60' in text
    assert 'vllm:generation_tokens_total{model_name="tiny"} 60' in text
    assert 'vllm:time_to_first_token_seconds_count{model_name="tiny"} 3' in text
    assert 'gen_ai_server_request_duration_seconds_count{gen_ai_request_model="tiny"} 3' in text
    assert 'holdfast_errors_total{code="invalid_value"} 1' in text
    told = client.get("/metrics/summary").json()
    assert told["time_to_first_token_seconds"]["p50"] <= told["answer_seconds"]["p99"]
    assert (told["requests"], told["failed"], told["error_rate"]) == (3, 0, 0.0)
    assert told["models"][MODEL]["queue_limit_tokens"] > 0
    assert told["models"][MODEL]["digest"] == client.get("/v1/models").json()["data"][0]["digest"]
