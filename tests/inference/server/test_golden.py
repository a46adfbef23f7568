# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A golden run keeps out of the way of those who ask in earnest, and tells nothing that is not so."""

from __future__ import annotations

import dataclasses
import re
import threading
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from holdfast_inference import words
from holdfast_inference.golden import BadGolden, read_golden
from holdfast_inference.server.golden import percentile
from holdfast_inference.server.keys import parse_keys

from .running import Running, wait_until
from .scripted_engine import Script, ScriptedAnswer, ScriptedEngine

SAMPLES = [{"prompt": f"Where is lamp {number}?", "answer": "The lamp is in aisle 12."} for number in range(12)]


class CountingEngine(ScriptedEngine):
    """Knows how many golden questions were under way at a time, and which digest its model has."""

    def __init__(self) -> None:
        super().__init__()
        self.under_way = 0
        self.seen: Counter[int] = Counter()
        self.digest = "sha256:aa"

    def models(self) -> Mapping[str, words.ModelFacts]:
        return {name: dataclasses.replace(facts, digest=self.digest) for name, facts in super().models().items()}

    def submit(self, request: words.Request) -> words.Answer:
        if not request.id.startswith("golden-"):
            return super().submit(request)
        answer = CountedAnswer(self.script, request)
        answer.engine = self
        self.answers.append(answer)
        return answer


class CountedAnswer(ScriptedAnswer):
    engine: CountingEngine

    async def __aiter__(self) -> AsyncIterator[words.Event]:
        self.engine.under_way += 1
        self.engine.seen[self.engine.under_way] += 1
        try:
            async for event in super().__aiter__():
                yield event
        finally:
            self.engine.under_way -= 1


@pytest.fixture
def engine() -> CountingEngine:
    return CountingEngine()


@pytest.fixture
def operator(server: Running) -> Iterator[httpx.Client]:
    with server.operator() as operator:
        yield operator


def probe(operator: httpx.Client, **members: Any) -> httpx.Response:
    return operator.post("/admin/probe", json={"samples": SAMPLES, **members})


def test_one_slot_is_left_to_others_and_nothing_goes_later(engine: CountingEngine, operator: httpx.Client) -> None:
    engine.script = Script(before=0.05)
    told = probe(operator).json()
    assert (told["asked"], told["right"], told["accuracy"]) == (12, 12, 1.0)
    assert max(engine.seen) == 3
    lowest = min(key.priority for key in parse_keys(f"last sha256:{'a' * 64} priority=-999", "the lowest there is"))
    assert {answer.request.priority for answer in engine.answers} == {lowest}
    assert 0.05 <= told["answer_seconds"]["p50"] <= told["answer_seconds"]["p99"] < told["seconds"]


def test_one_question_at_a_time_while_others_are_answered(
    engine: CountingEngine, server: Running, operator: httpx.Client
) -> None:
    engine.script = Script(text="x" * 400, between=0.01)
    body = {"prompt": "Go on", "stream": True, "max_tokens": 400}
    with server.client() as client, client.stream("POST", "/v1/completions", json=body) as response:
        received = response.iter_lines()
        next(received)
        engine.script = Script(before=0.02)
        assert probe(operator).json()["right"] == 12
        assert set(engine.seen) == {1}


def test_the_run_is_no_part_of_what_is_measured_of_requests(server: Running, operator: httpx.Client) -> None:
    assert probe(operator).json()["right"] == 12
    with server.client() as client:
        told = client.get("/metrics/summary").json()
        metrics = client.get("/metrics").text
    assert (told["golden"]["accuracy"], told["golden"]["asked"]) == (1.0, 12)
    assert told["golden"]["answer_seconds"]["p99"] > 0
    assert told["answer_seconds"]["p50"] is None
    assert told["tokens_per_second"] == 0
    assert not re.search("^holdfast_answers_total.* ", metrics, re.MULTILINE)
    assert 'holdfast_golden_questions{model="shop"} 12' in metrics


def test_what_was_found_of_another_model_says_nothing_of_this_one(
    engine: CountingEngine, server: Running, operator: httpx.Client
) -> None:
    assert probe(operator).status_code == 200
    engine.digest = "sha256:bb"
    with server.client() as client:
        assert client.get("/metrics/summary").json()["golden"] is None
        assert "holdfast_golden_accuracy" not in client.get("/metrics").text


@pytest.mark.parametrize("end", [None, "cancelled", "error"])
def test_a_run_that_was_cut_short_is_none(
    engine: CountingEngine, server: Running, operator: httpx.Client, end: words.FinishReason | None
) -> None:
    engine.script = Script(end=end)
    response = probe(operator)
    assert (response.status_code, response.json()["error"]["code"]) == (503, "probe_ended")
    with server.client() as client:
        assert client.get("/metrics/summary").json()["golden"] is None


def test_a_full_queue_is_waited_for(engine: CountingEngine, operator: httpx.Client) -> None:
    engine.script = Script(refusal=words.Refused("queue_full", "Too much.", retry_after=0.05))
    threading.Timer(0.3, setattr, (engine, "script", Script())).start()
    assert probe(operator).json()["right"] == 12


def test_an_operator_who_goes_ends_the_run(engine: CountingEngine, server: Running) -> None:
    engine.script = Script(before=5.0)
    with server.operator() as operator, pytest.raises(httpx.ReadTimeout):
        operator.post("/admin/probe", json={"samples": SAMPLES}, timeout=0.3)
    wait_until(lambda: engine.under_way == 0)
    assert len(engine.answers) == 3


def test_a_model_without_a_golden_set_asks_for_samples(operator: httpx.Client) -> None:
    response = operator.post("/admin/probe", json={})
    assert response.status_code == 400
    assert "golden.jsonl" in response.json()["error"]["message"]


@pytest.mark.parametrize(
    "line",
    [
        "no json",
        "[]",
        '{"answer": "x"}',
        '{"prompt": "x"}',
        '{"prompt": "", "answer": "x"}',
        '{"prompt": "x", "answer": ""}',
        '{"prompt": "x", "answer": 5}',
        '{"messages": [], "answer": "x"}',
        '{"messages": ["x"], "answer": "x"}',
        '{"messages": [{"role": "user"}], "answer": "x"}',
        '{"messages": 5, "answer": "x"}',
    ],
)
def test_a_line_that_is_no_sample_is_named(line: str, tmp_path: Path) -> None:
    path = tmp_path / "golden.jsonl"
    path.write_text('{"prompt": "Where?", "answer": "Here."}\n\n' + line + "\n", encoding="utf-8")
    with pytest.raises(BadGolden, match="line 3"):
        read_golden(path)


def test_percentiles_are_values_that_were_seen() -> None:
    values = [float(number) for number in range(100, 0, -1)]
    assert [percentile(values, share) for share in (0.5, 0.99, 1.0)] == [50.0, 99.0, 100.0]
    assert percentile([3.0], 0.99) == 3.0
