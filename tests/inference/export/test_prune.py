# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Channels that are left out are really gone, the right ones go, and the report says what that costs."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gguf import GGMLQuantizationType as Kind
from holdfast_inference.export import Unknown
from holdfast_inference.export.__main__ import main
from holdfast_inference.export.exporter import Order, export
from holdfast_inference.export.prune import kept_channels, prune_mlp
from holdfast_inference.export.recipe import Recipe
from holdfast_inference.export.source import Source, open_source
from holdfast_inference.model_folder import read_card

from tests.inference import reference, tiny_model
from tests.inference.export.test_gguf import write as write_gguf
from tests.inference.export.test_mathematics import IDS, run_whole

FLOAT = Recipe(weights="f32", kv="f32", slots=(1,))
INNER, LAYERS, HIDDEN = 192, 3, 128


def by_hand(tensors: tiny_model.Tensors, count: int) -> tiny_model.Tensors:
    """The weights without channels, found in another way: one after the other, by the length of each."""
    left = dict(tensors)
    for layer in range(LAYERS):
        gate, up, down = (f"model.layers.{layer}.mlp.{part}_proj.weight" for part in ("gate", "up", "down"))
        sizes = [
            np.linalg.norm(tensors[gate][channel])
            * np.linalg.norm(tensors[up][channel])
            * np.linalg.norm(tensors[down][:, channel])
            for channel in range(INNER)
        ]
        kept = sorted(sorted(range(INNER), key=lambda channel: -sizes[channel])[:count])
        left |= {gate: tensors[gate][kept], up: tensors[up][kept], down: tensors[down][:, kept]}
    return left


@pytest.mark.parametrize("family", ["llama", "qwen2", "gemma3"])
def test_what_is_left_computes_what_the_definition_says_without_those_channels(family: str, tmp_path: Path) -> None:
    tensors = tiny_model.write_source(tmp_path / "source", family)
    order = Order(tmp_path / "source", tmp_path / "model", "shop", FLOAT, changes=(prune_mlp(0.3, block=64),))
    card = export(order)
    assert (card.intermediate, card.report["pruned"]["intermediate"]) == (128, {"before": INNER, "after": 128})
    found = run_whole(tmp_path / "model", card, IDS)
    wanted = reference.logits(tiny_model.config(family, intermediate_size=128), by_hand(tensors, 128), IDS)
    assert np.abs(found - wanted).max() < 1e-4
    whole = reference.logits(tiny_model.config(family), tensors, IDS)
    assert np.abs(wanted - whole).max() > 1e-2, "nothing was left out"


def test_channels_that_say_nothing_are_no_loss(tmp_path: Path) -> None:
    tensors = tiny_model.write_source(tmp_path / "source")
    for layer, part in zip(range(LAYERS), ("gate", "up", "down"), strict=True):
        values = tensors[f"model.layers.{layer}.mlp.{part}_proj.weight"]
        (values if part != "down" else values.T)[2::3] = 0
    tiny_model.write_safetensors(tmp_path / "source" / "model.safetensors", tensors)
    cards = [
        export(Order(tmp_path / "source", tmp_path / str(len(changes)), "shop", FLOAT, changes=changes))
        for changes in ((), (prune_mlp(1 / 3, block=64),))
    ]
    logits = [run_whole(tmp_path / str(number), card, IDS) for number, card in enumerate(cards)]
    assert np.abs(logits[0] - logits[1]).max() < 1e-5
    assert cards[0].weight_bytes() - cards[1].weight_bytes() >= 4 * LAYERS * 3 * 64 * HIDDEN
    assert cards[0].parameters - cards[1].parameters == cards[1].report["pruned"]["parameters_left_out"]


def test_the_command_tells_what_was_lost_against_the_whole_model(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny_model.write_source(tmp_path / "source")
    (tmp_path / "texts").write_text("\n\n".join(tiny_model.TEXT))
    told: dict[str, Any] = {}
    for name, more in (("whole", []), ("less", ["--prune", "0.6"])):
        words = [str(tmp_path / "source"), str(tmp_path / name), "--slots", "1", "--judge", str(tmp_path / "texts")]
        assert main([*words, *more]) == 0
        told[name] = json.loads(capsys.readouterr().out)
    assert read_card(tmp_path / "less").intermediate == 64
    assert "pruned" not in told["whole"]
    assert told["less"]["pruned"]["share"] == 0.6
    assert told["less"]["perplexity"]["before"] == told["whole"]["perplexity"]["before"]
    assert told["less"]["argmax_agreement"] < told["whole"]["argmax_agreement"]
    assert told["less"]["bytes"] < told["whole"]["bytes"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["less", "source", "texts", "whole"]


def test_blocks_of_a_source_that_lie_along_a_channel_are_kept_bit_for_bit(tmp_path: Path) -> None:
    path, _, _ = write_gguf(tmp_path, "llama", Kind.Q4_0)
    source = open_source(path, tokenizer=tmp_path / "source")
    pruned = prune_mlp(0.3, block=64)(source).tensors
    gate, up, down = (f"model.layers.1.mlp.{part}_proj.weight" for part in ("gate", "up", "down"))
    whole_gate, whole_up, whole_down = (source.tensors.get(name) for name in (gate, up, down))
    kept = kept_channels(whole_gate, whole_up, whole_down, 128)
    whole, left = source.tensors.blocks(gate), pruned.blocks(gate)
    assert whole is not None
    assert left is not None
    assert np.array_equal(left.packed, whole.packed[kept])
    assert np.array_equal(left.scales, whole.scales[kept])
    # Those of down lie across the channels: they are rounded once more, and not to 4 bits again.
    assert pruned.blocks(down) is None
    assert pruned.rounded_already(down)
    order = Order(path, tmp_path / "model", "shop", Recipe(slots=(1,)), tokenizer=tmp_path / "source")
    card = export(dataclasses.replace(order, changes=(prune_mlp(0.3, block=64),)))
    assert card.intermediate == 128


def test_of_equal_channels_the_first_are_kept() -> None:
    gate = np.ones((6, 4), np.float32)
    gate[4] = 2
    assert kept_channels(gate, gate, gate.T, 3).tolist() == [0, 1, 4]


@pytest.mark.parametrize(("share", "expected"), [(0.0, "0 cannot"), (1.0, "1 cannot"), (0.1, "less than a block")])
def test_what_cannot_be_left_out_is_refused(
    share: float, expected: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny_model.write_source(tmp_path / "source")
    assert main([str(tmp_path / "source"), str(tmp_path / "model"), "--prune", str(share)]) == 1
    assert expected in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_a_source_that_contradicts_its_configuration_is_refused(tmp_path: Path) -> None:
    tensors = tiny_model.write_source(tmp_path / "source")
    name = "model.layers.1.mlp.up_proj.weight"
    tensors[name] = tensors[name][:-1]
    tiny_model.write_safetensors(tmp_path / "source" / "model.safetensors", tensors)
    with pytest.raises(Unknown, match="191"):
        export(Order(tmp_path / "source", tmp_path / "model", "shop", changes=(prune_mlp(0.4, block=64),)))


def test_a_change_of_ones_own_comes_before_rounding_and_into_the_report(tmp_path: Path) -> None:
    """Any function of a source will do; here one that makes the context shorter."""
    tiny_model.write_source(tmp_path / "source")

    def shorter(source: Source) -> Source:
        geometry = dataclasses.replace(source.geometry, context=64)
        return dataclasses.replace(source, geometry=geometry, told={**source.told, "shorter": 64})

    changes = (shorter, prune_mlp(0.3, block=64))
    card = export(Order(tmp_path / "source", tmp_path / "model", "shop", Recipe(slots=(1,)), changes=changes))
    assert (card.context, card.intermediate) == (64, 128)
    assert card.report["shorter"] == 64
    assert "pruned" in card.report
