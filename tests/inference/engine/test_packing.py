# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Weights that are kept as this processor wants them: the same answers, a second session for little, and a file that is
stale or damaged is made again."""

from __future__ import annotations

import concurrent.futures
import multiprocessing
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnxruntime
import pytest
from holdfast_inference.engine.local import LocalEngine, Settings
from holdfast_inference.engine.packing import KEPT, packed, packed_key
from holdfast_inference.engine.plan import MIB, DoesNotFit, arranged_bytes
from holdfast_inference.model_folder import read_card

from tests.inference.engine import asking
from tests.inference.engine.asking import Whole, ask, prompt, request
from tests.inference.server.running import wait_until

SETTINGS = Settings(slots=2, threads=1, prefix_bytes=0, chunk=48)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return asking.make_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Large enough that its weights show in what a process takes; with few words, of which each engine has a table."""
    wide: dict[str, Any] = {"hidden_size": 768, "intermediate_size": 10240, "head_dim": 64, "vocab_size": 1024}
    return asking.make_model(tmp_path_factory.mktemp("large"), num_attention_heads=12, **wide)


def answer(folder: Path, settings: Settings) -> Whole:
    engine = LocalEngine()
    engine.activate("tiny", folder, settings)
    found = ask(engine, request(prompt(40), logprobs=3))
    engine.close()
    return found


def memory() -> int:
    """Bytes that this process takes. Pages that are mapped twice count once, which VmRSS does not do; libraries not at
    all, since their share changes with other processes that come and go."""
    taken, library = 0, False
    for line in Path("/proc/self/smaps").read_text(encoding="utf-8").splitlines():
        name, *fields = line.split()
        if "-" in name:
            library = ".so" in fields[-1]
        elif name == "Pss:" and not library:
            taken += int(fields[0]) * 1024
    assert taken, "no Pss"
    return taken


def growth_in_new_process(folder: Path, settings: Settings) -> int:
    """In one that has no freed memory of earlier tests to use."""
    with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(growth, folder, settings).result()


def growth(folder: Path, settings: Settings) -> int:
    """What a second engine takes beside one that has answered."""
    first, second = LocalEngine(), LocalEngine()
    first.activate("tiny", folder, settings)
    ask(first, request(prompt(40)))
    before = memory()
    second.activate("tiny", folder, settings)
    ask(second, request(prompt(40)))
    grown = memory() - before
    first.close()
    second.close()
    return grown


def test_a_second_engine_takes_little(large: Path, tmp_path: Path) -> None:
    settings = replace(SETTINGS, slots=1)
    weights = read_card(large).weight_bytes()
    assert weights > 24 * MIB
    assert growth_in_new_process(large, settings) > 0.9 * weights
    assert packed(tmp_path / "packed", large, read_card(large), 1)
    assert growth_in_new_process(large, replace(settings, packed=tmp_path / "packed")) < 0.5 * weights


def test_answers_are_the_same(folder: Path, tmp_path: Path) -> None:
    plain = answer(folder, SETTINGS)
    shared = replace(SETTINGS, packed=tmp_path / "packed")
    made, found = answer(folder, shared), answer(folder, shared)
    assert plain.tokens == made.tokens == found.tokens
    assert (tmp_path / "packed").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("way", ["changed", "cut", "gone", "told wrong"])
def test_what_is_damaged_is_made_again(
    way: str, folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    card, store = read_card(folder), tmp_path / "packed"
    found = packed(store, folder, card, 2)
    assert found is not None
    weights = found.graph.parent / "weights.bin"
    right = weights.read_bytes()
    if way == "changed":
        raw = bytearray(right)
        raw[len(raw) // 2] ^= 1
        weights.write_bytes(raw)
    elif way == "cut":
        os.truncate(weights, len(right) // 2)
    elif way == "gone":
        found.graph.unlink()
    else:
        (found.graph.parent / "packed.json").write_text("[1]")
    assert packed(store, folder, card, 2) == found
    assert weights.read_bytes() == right
    assert "damaged" in caplog.text
    caplog.clear()
    stamp = weights.stat().st_ino
    assert packed(store, folder, card, 2) == found
    assert weights.stat().st_ino == stamp
    assert caplog.text == ""


def test_another_processor_runtime_or_graph_has_another_file(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = read_card(folder)
    here = packed_key(card, 2)
    keys = {here, packed_key(card, 4), packed_key(replace(card, digest="other"), 2)}
    for flags in ("avx2", "avx2 avx512_vnni"):
        (tmp_path / "cpuinfo").write_text(f"processor: 0\ncpu MHz: 3000\nflags: {flags}\n")
        keys.add(packed_key(card, 2, tmp_path))
    (tmp_path / "cpuinfo").write_text("processor: 0\ncpu MHz: 800\nflags: avx2\n")
    assert packed_key(card, 2, tmp_path) in keys
    monkeypatch.setattr(onnxruntime, "__version__", "0.0.1")
    keys.add(packed_key(card, 2))
    assert len(keys) == 6


def test_where_nothing_can_be_kept_each_session_has_its_own(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "packed").write_text("a file where a folder belongs")
    assert answer(folder, replace(SETTINGS, packed=tmp_path / "packed")).tokens == answer(folder, SETTINGS).tokens
    assert "no packed weights" in caplog.text


def test_only_the_last_ones_are_kept(folder: Path, tmp_path: Path) -> None:
    store, card = tmp_path / "packed", read_card(folder)
    (store / ".making-killed").mkdir(parents=True)
    made = [packed(store, folder, replace(card, digest=f"{number}"), 1) for number in range(KEPT + 2)]
    assert made[-1] is not None and made[-1].graph.is_file()
    left = {path.name for path in store.iterdir() if path.is_dir()}
    assert left == {item.key for item in made[-KEPT:] if item}


def test_the_plan_counts_shared_weights_once(large: Path, tmp_path: Path) -> None:
    """There is room for the weights once, and for what each session has of its own."""
    engine = LocalEngine()
    own = replace(SETTINGS, slots=1)
    alone = engine.activate("first", large, own).memory_bytes
    weights = arranged_bytes(read_card(large))
    room = 2 * alone - weights + MIB
    with pytest.raises(DoesNotFit):
        engine.activate("second", large, replace(own, memory=room))
    engine.remove("first")
    shared = replace(own, memory=room, packed=tmp_path / "packed")
    engine.activate("one", large, replace(shared, memory=None))
    second = engine.activate("two", large, shared)
    assert second.memory_bytes == alone - weights
    # Whichever leaves first, the weights stay counted.
    engine.remove("one")
    wait_until(lambda: not engine._leaving, 20)
    with pytest.raises(DoesNotFit):
        engine.activate("three", large, replace(own, memory=room))
    engine.activate("three", large, shared)
    engine.close()
