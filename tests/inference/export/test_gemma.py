# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What Gemma's configurations say is carried over or refused, and its answers are as exact as others'."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from holdfast_inference.engine.local import LocalEngine, Settings
from holdfast_inference.export import Unknown
from holdfast_inference.export.families import Geometry, read_geometry
from holdfast_inference.words import Sampling

from tests.inference import tiny_model
from tests.inference.engine import asking
from tests.inference.engine.asking import ask, prompt, request


def geometry(folder: Path, family: str, without: tuple[str, ...] = (), **changes: Any) -> Geometry:
    content = tiny_model.config(family, **changes)
    for name in without:
        del content[name]
    (folder / "config.json").write_text(json.dumps(content))
    return read_geometry(folder)


def test_windows_come_by_layer_or_by_pattern(tmp_path: Path) -> None:
    assert geometry(tmp_path, "gemma2").windows == (7, None, 7)
    assert geometry(tmp_path, "gemma2", ("layer_types",), num_hidden_layers=4).windows == (7, None, 7, None)
    told = geometry(tmp_path, "gemma3", ("layer_types",), num_hidden_layers=7, sliding_window_pattern=6)
    assert told.windows == (7, 7, 7, 7, 7, None, 7)
    silent = geometry(tmp_path, "gemma3", ("layer_types",), num_hidden_layers=7)
    assert silent.windows == told.windows, "as transformers has it where nothing is said"


def test_rotary_settings_in_the_old_form_and_the_new_one_are_the_same(tmp_path: Path) -> None:
    scaling = {"rope_type": "linear", "factor": 8.0}
    old = geometry(tmp_path, "gemma3", rope_scaling=scaling)
    parameters = {
        "full_attention": {**scaling, "rope_theta": 100000.0},
        "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0},
    }
    new = geometry(tmp_path, "gemma3", ("rope_theta", "rope_local_base_freq"), rope_parameters=parameters)
    assert new == old
    assert (old.rope_theta, old.local_rope_theta) == (100000.0, 10000.0)
    silent = geometry(tmp_path, "gemma3", ("rope_theta", "rope_local_base_freq"))
    assert (silent.rope_theta, silent.local_rope_theta) == (1000000.0, 10000.0), "as transformers has it"
    assert (old.rotary_frequencies(local=True) != old.rotary_frequencies()).any()


@pytest.mark.parametrize(
    ("family", "changes", "message"),
    [
        ("gemma2", {"hidden_activation": "gelu"}, "'gelu' is not known for gemma2"),
        ("gemma2", {"layer_types": ["full_attention"]}, "for 3 layers"),
        ("gemma2", {"layer_types": ["chunked_attention"] * 3}, "chunked_attention"),
        ("gemma3", {"attn_logit_softcapping": 50.0}, "attn_logit_softcapping"),
        ("gemma3", {"use_bidirectional_attention": True}, "later tokens"),
        ("gemma3", {"architectures": ["Gemma3ForConditionalGeneration"]}, "is not known here"),
    ],
)
def test_what_is_not_known_is_refused_by_name(
    family: str, changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(Unknown, match=message):
        geometry(tmp_path, family, **changes)


@pytest.mark.parametrize("family", ["gemma2", "gemma3"])
def test_answers_are_the_same_alone_in_company_and_resumed(family: str, tmp_path: Path) -> None:
    """Beyond the window too, where what lies before it is no longer seen."""
    engine = LocalEngine()
    settings = Settings(slots=4, threads=1, prefix_bytes=0, chunk=48)
    facts = engine.activate("tiny", asking.make_model(tmp_path, family=family), settings)
    assert facts.row_quantum is not None
    # Untrained, it says the last token again and again unless chance has a say.
    asked = [
        request(prompt(20 + 30 * n, seed=n), max_tokens=20, ignore_eos=True, sampling=Sampling(temperature=4.0, seed=n))
        for n in range(4)
    ]
    alone = [ask(engine, wanted) for wanted in asked]
    assert len({token for whole in alone for token in whole.ids}) > 10
    together = [asking.read(answer) for answer in [engine.submit(wanted) for wanted in asked]]
    assert [whole.ids for whole in together] == [whole.ids for whole in alone]
    resumed = ask(engine, replace(asked[1], forced_output_ids=alone[1].ids[:9]))
    assert resumed.tokens == alone[1].tokens[9:]
    engine.close()
