# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Products whose rounding changes the likeliest token are found and raised, in all graphs; the report names them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnx
import pytest
from holdfast_inference.engine.local import LocalEngine, Settings
from holdfast_inference.export.__main__ import main
from holdfast_inference.export.levels import MOST_SHARE
from holdfast_inference.model_folder import read_card

from tests.inference import tiny_model
from tests.inference.engine.asking import ask, prompt, request

HARMED = "layer.1.down"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One product gets a few inputs that are far larger than the others, which is what rounding does worst with."""
    folder = tmp_path_factory.mktemp("levels") / "source"
    tensors = tiny_model.write_source(folder)
    up, down = (f"model.layers.1.mlp.{part}_proj.weight" for part in ("up", "down"))
    tensors[up][::64] *= 300
    tensors[down][:, ::64] /= 300
    # What the others say is drowned by the large ones' rounding, and it is what matters.
    tensors[down] *= 6
    tiny_model.write_safetensors(folder / "model.safetensors", tensors)
    (folder / "texts").write_text("\n\n".join(tiny_model.TEXT))
    return folder


def levels(folder: Path, slots: int) -> dict[str, int]:
    graph = onnx.load(str(folder / f"graph-{slots}.onnx"), load_external_data=False)
    return {
        node.name: attribute.i
        for node in graph.graph.node
        for attribute in node.attribute
        if attribute.name == "accuracy_level"
    }


def test_the_product_that_does_the_harm_is_raised(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = source.parent / "raised"
    words = [str(source), str(target), "--texts", str(source / "texts"), "--slots", "1", "2", "--plain"]
    assert main([*words, "--agreement", "1"]) == 0
    raised = json.loads(capsys.readouterr().out)["raised"]
    assert HARMED in raised["products"]
    assert raised["before"] < raised["after"] <= 1
    assert read_card(target).report["raised"] == raised
    for slots in (1, 2):
        told = levels(target, slots)
        assert {name for name, level in told.items() if level == 1} == set(raised["products"])
        assert set(told.values()) == {1, 4}
        assert len(raised["products"]) <= MOST_SHARE * len(told)
    engine = LocalEngine()
    assert engine.activate("tiny", target, Settings(slots=2, threads=1, prefix_bytes=0)).row_quantum is not None
    assert len(ask(engine, request(prompt(30), ignore_eos=True)).tokens) == 24
    engine.close()


def test_where_all_agree_nothing_is_raised(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [str(source), str(source.parent / "none"), "--texts", str(source / "texts"), "--slots", "1"]
    assert main([*words, "--agreement", "0"]) == 0
    raised = json.loads(capsys.readouterr().out)["raised"]
    assert raised["products"] == []
    assert raised["before"] == raised["after"]
    assert set(levels(source.parent / "none", 1).values()) == {4}


def test_a_golden_set_says_what_matters_where_there_is_one(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    drawn = np.random.default_rng(3).integers(0, 9, (4, 8))
    lines = [{"prompt": "Where? ", "answer": " ".join(map(str, row))} for row in drawn]
    (source / "golden").write_text("\n".join(map(json.dumps, lines)))
    words = [str(source), str(source.parent / "golden"), "--golden", str(source / "golden"), "--slots", "1"]
    assert main([*words, "--agreement", "0.999"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["raised"]["after"] >= told["raised"]["before"]
    assert told["golden"]["samples"] == 4


def test_agreement_needs_something_to_agree_on(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(source), str(source.parent / "no"), "--slots", "1", "--agreement", "0.9"]) == 1
    assert "name some" in capsys.readouterr().err
