# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The controller reads model folders with code of its own; it must say what the engine says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.holdfast.edge.plugins.module_utils._model_folder import ModelFolderError, read_model
from holdfast_inference.engine.local import Settings
from holdfast_inference.engine.plan import make_plan
from holdfast_inference.model_folder import read_card

from tests.inference.engine.asking import make_embedding_model, make_model


@pytest.mark.parametrize("make", [make_model, make_embedding_model])
@pytest.mark.parametrize(("slots", "context"), [(1, 0), (4, 0), (4, 100), (2, 10**6)])
def test_both_plan_the_same_memory(tmp_path: Path, slots: int, context: int, make: Callable[[Path], Path]) -> None:
    folder = make(tmp_path)
    usual = Settings()
    plan = make_plan(
        read_card(folder),
        granted=2**40,
        slots=slots,
        context=context or None,
        prefix=usual.prefix_bytes,
        chunk=usual.chunk,
    )
    assert read_model(folder, slots, context)["memory_bytes"] == plan.total


def test_both_name_the_same_model_and_the_card_comes_last(tmp_path: Path) -> None:
    folder = make_model(tmp_path)
    told = read_model(folder, 4)
    assert told["digest"] == read_card(folder).digest
    assert {file["name"]: file["bytes"] for file in told["files"]} == {
        path.name: path.stat().st_size for path in folder.iterdir()
    }
    assert told["files"][-1]["name"] == "model.json"


def test_what_the_engine_would_refuse_does_not_leave_the_controller(tmp_path: Path) -> None:
    folder = make_model(tmp_path)
    with pytest.raises(ModelFolderError, match="was exported for 1, 2, 4 slots, not for 3"):
        read_model(folder, 3)
    weights = folder / "weights.bin"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(ModelFolderError, match=r"weights\.bin does not have the SHA-256"):
        read_model(folder, 4)
    weights.unlink()
    with pytest.raises(ModelFolderError, match=r"weights\.bin is missing"):
        read_model(folder, 4)
    card = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    (folder / "model.json").write_text(json.dumps(card | {"context": 1}), encoding="utf-8")
    with pytest.raises(ModelFolderError, match="was changed after it was written"):
        read_model(folder, 4)
    (folder / "model.json").unlink()
    with pytest.raises(ModelFolderError, match="is no model folder"):
        read_model(folder, 4)
