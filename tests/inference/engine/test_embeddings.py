# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A model that embeds: its vectors are what the definition says, the same alone and in company, and it does nothing
else."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from holdfast_inference.engine.local import LocalEngine, Settings
from holdfast_inference.export import Unknown
from holdfast_inference.export.exporter import Order, export
from holdfast_inference.export.recipe import Recipe
from holdfast_inference.model_folder import read_card
from holdfast_inference.words import Request

from tests.inference import reference, tiny_model
from tests.inference.engine import asking
from tests.inference.engine.asking import prompt, request

SETTINGS = Settings(slots=4, threads=1, prefix_bytes=2**20, chunk=48)


def wanted(ids: tuple[int, ...]) -> Request:
    return replace(request(ids), max_tokens=1, embed=True)


def vector(engine: LocalEngine, ids: tuple[int, ...]) -> tuple[float, ...]:
    found = asking.ask(engine, wanted(ids))
    assert (found.tokens, found.finish.reason, found.finish.usage.completion) == ((), "stop", 0)
    assert found.finish.vector is not None
    return found.finish.vector


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return asking.make_embedding_model(tmp_path_factory.mktemp("model"))


def test_the_vector_is_that_of_the_definition(tmp_path: Path) -> None:
    model = asking.make_embedding_model(tmp_path, Recipe(weights="f32", kv="f32", slots=(1,)))
    config = json.loads((tmp_path / "source-embedding" / "config.json").read_text())
    tensors = tiny_model.weights(tiny_model.config("qwen3"))
    engine = LocalEngine()
    facts = engine.activate("tiny", model, replace(SETTINGS, slots=1))
    assert facts.embedding_size == 128
    for length in (1, 5, 70):
        ids = prompt(length)
        state = reference.states(config, tensors, ids)[-1]
        assert np.abs(np.array(vector(engine, ids)) - state / np.linalg.norm(state)).max() < 1e-5
    engine.close()


def test_vectors_are_the_same_alone_and_in_company(folder: Path) -> None:
    """Whoever rounds a vector anew with each neighbour finds other neighbours each time."""
    texts = [(*prompt(40, seed=0), *prompt(length, seed=length)) for length in (1, 3, 33, 60, 90, 150)]
    engine = LocalEngine()
    assert engine.activate("tiny", folder, SETTINGS).row_quantum
    alone = [vector(engine, text) for text in texts]
    engine.close()
    engine = LocalEngine()
    engine.activate("tiny", folder, SETTINGS)
    answers = [engine.submit(wanted(text)) for text in texts]
    assert [asking.read(answer).finish.vector for answer in answers] == alone
    assert engine.status().models["tiny"].prefix_hits > 0
    engine.close()


def test_each_model_does_what_it_is_for(folder: Path, tmp_path: Path) -> None:
    engine = LocalEngine()
    engine.activate("tiny", folder, SETTINGS)
    engine.activate("text", asking.make_model(tmp_path), SETTINGS)
    draws = asking.refused(lambda: engine.submit(request(prompt(5))))
    assert (draws.code, draws.param) == ("invalid_value", "model")
    embeds = asking.refused(lambda: engine.submit(replace(wanted(prompt(5)), model="text")))
    assert "makes no embeddings" in embeds.message
    engine.close()


def test_the_digest_of_a_model_that_draws_text_has_no_task(folder: Path, tmp_path: Path) -> None:
    assert json.loads((folder / "model.json").read_text())["task"] == "embedding"
    text = asking.make_model(tmp_path)
    assert "task" not in json.loads((text / "model.json").read_text())
    assert read_card(text).task == "text"


def test_an_export_tells_how_near_the_vectors_stayed(tmp_path: Path) -> None:
    tiny_model.write_embedding_source(tmp_path / "source")
    order = Order(tmp_path / "source", tmp_path / "model", "tiny", Recipe(slots=(1,)), judge_texts=tiny_model.TEXT)
    cosine = export(order).report["cosine"]
    assert 0.5 < cosine["least"] <= cosine["mean"] < 1
    with pytest.raises(Unknown, match="golden set"):
        export(replace(order, target=tmp_path / "other", golden=tmp_path / "none"))


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("1_Pooling/config.json", {"pooling_mode_mean_tokens": True}, "mean_tokens is not known"),
        ("1_Pooling/config.json", {"pooling_mode": "cls"}, "cls is not known"),
        ("modules.json", [{"type": "a.Transformer"}, {"type": "a.Dense"}], "Dense"),
    ],
)
def test_other_ways_to_embed_are_refused(file: str, content: object, message: str, tmp_path: Path) -> None:
    tiny_model.write_embedding_source(tmp_path / "source")
    (tmp_path / "source" / file).write_text(json.dumps(content))
    with pytest.raises(Unknown, match=message):
        export(Order(tmp_path / "source", tmp_path / "model", "tiny", Recipe(slots=(1,))))


def test_a_network_without_a_head_must_say_how_it_embeds(tmp_path: Path) -> None:
    tiny_model.write_embedding_source(tmp_path / "source")
    (tmp_path / "source" / "1_Pooling" / "config.json").unlink()
    with pytest.raises(Unknown, match="no head to draw with"):
        export(Order(tmp_path / "source", tmp_path / "model", "tiny", Recipe(slots=(1,))))


def test_attention_to_later_tokens_is_refused(tmp_path: Path) -> None:
    tiny_model.write_embedding_source(tmp_path / "source", is_causal=False)
    with pytest.raises(Unknown, match="later tokens"):
        export(Order(tmp_path / "source", tmp_path / "model", "tiny", Recipe(slots=(1,))))
