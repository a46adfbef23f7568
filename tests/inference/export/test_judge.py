# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What an export says it lost is what was lost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from holdfast_inference.engine.text import ModelTokenizer
from holdfast_inference.export.__main__ import main
from holdfast_inference.export.exporter import Order, export
from holdfast_inference.export.recipe import Recipe

from tests.inference import reference, tiny_model

TEXTS = "The lamp is in aisle twelve and costs 4.50 €.\n\nWhere are the chairs? They are in aisle 3.\n"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    tiny_model.write_source(tmp_path / "source")
    (tmp_path / "texts").write_text(TEXTS)
    return tmp_path / "source"


def greedy(source: Path, prompt: str, length: int) -> tuple[list[int], ModelTokenizer]:
    """What the float network answers, by the oracle."""
    config = json.loads((source / "config.json").read_text())
    tensors = tiny_model.weights(config)
    tokenizer = ModelTokenizer(source)
    ids = tokenizer.encode(prompt)
    begin = len(ids)
    for _ in range(length):
        ids.append(int(reference.logits(config, tensors, ids)[-1].argmax()))
    return ids[begin:], tokenizer


def test_perplexity_before_is_that_of_the_definition(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    texts = source.parent / "texts"
    assert main([str(source), str(source.parent / "model"), "--judge", str(texts), "--slots", "1"]) == 0
    told = json.loads(capsys.readouterr().out)
    config = json.loads((source / "config.json").read_text())
    tensors, tokenizer = tiny_model.weights(config), ModelTokenizer(source)
    surprise, count = 0.0, 0
    for text in TEXTS.split("\n\n"):
        ids = tokenizer.encode(text)
        rows = reference.logits(config, tensors, ids)[:-1]
        rows -= rows.max(axis=1, keepdims=True)
        chosen = rows[np.arange(len(ids) - 1), ids[1:]] - np.log(np.exp(rows).sum(axis=1))
        surprise, count = surprise - float(chosen.sum()), count + len(ids) - 1
    assert told["judged_tokens"] == count
    assert told["perplexity"]["before"] == pytest.approx(np.exp(surprise / count), rel=1e-3)
    assert told["perplexity"]["after"] != told["perplexity"]["before"]
    assert 0.3 < told["argmax_agreement"] <= told["argmax_agreement_of_rounded_activations"] <= 1
    assert sorted(path.name for path in source.parent.iterdir()) == ["model", "source", "texts"]


def test_finer_recipes_are_judged_better(source: Path) -> None:
    found: dict[str, Any] = {}
    for name, recipe in (
        ("int4", Recipe(block=128, method="rtn", mixed=False)),
        ("int8", Recipe(weights="int8", block=32)),
    ):
        order = Order(source, source.parent / name, name, recipe, judge_texts=tuple(TEXTS.split("\n\n")))
        found[name] = export(order).report["argmax_agreement"]
    assert found["int4"] < found["int8"] > 0.9


def test_a_golden_set_counts_answers_that_are_right_word_for_word(
    source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One answer is what the float network says itself, its end included; the other has another word."""
    questions = [f"Where is lamp {number}?" for number in range(40)]
    for question in questions:
        said, tokenizer = greedy(source, question, 2)
        right = tokenizer.decode(said[:1])
        if tokenizer.encode(right, special=False) == said[:1]:
            break
    else:
        raise AssertionError("no question whose answer can be written down")
    config = json.loads((source / "config.json").read_text())
    (source / "config.json").write_text(json.dumps(config | {"eos_token_id": said[1]}))
    golden = source.parent / "golden"
    lines = [{"prompt": question, "answer": answer} for answer in (right, right + " chairs")]
    golden.write_text("\n".join(map(json.dumps, lines)) + "\n\n")
    arguments = [str(source), str(source.parent / "model"), "--golden", str(golden), "--slots", "1"]
    assert main(arguments) == 0
    told = json.loads(capsys.readouterr().out)["golden"]
    assert (told["samples"], told["right_before"]) == (2, 1)
    assert told["right_after"] in (0, 1)


@pytest.mark.parametrize("content", ["", "no json", '{"prompt": "x"}', '{"answer": "x"}'])
def test_a_golden_set_that_is_none_is_refused(content: str, source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (source.parent / "golden").write_text(content)
    arguments = [str(source), str(source.parent / "model"), "--golden", str(source.parent / "golden")]
    assert main(arguments) == 1
    assert "sample" in capsys.readouterr().err
    assert sorted(path.name for path in source.parent.iterdir()) == ["golden", "source", "texts"]
