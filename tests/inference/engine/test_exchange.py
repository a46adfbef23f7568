# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Models are loaded, exchanged under load, rolled back and refused, without a request that fails."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import pytest
from holdfast_inference.engine import local
from holdfast_inference.engine.local import LocalEngine, Settings
from holdfast_inference.engine.plan import MIB, DoesNotFit
from holdfast_inference.engine.runner import Providers, Runner
from holdfast_inference.model_folder import BadModelFolder, describe_files, read_card, write_card
from holdfast_inference.words import Refused

from tests.inference.engine import asking
from tests.inference.engine.asking import ask, prompt, request
from tests.inference.server.running import wait_until

SETTINGS = Settings(slots=2, threads=1, prefix_bytes=MIB)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("models")
    return [asking.make_model(folder, seed=seed) for seed in range(2)]


@pytest.fixture(scope="module")
def expected(folders: list[Path]) -> list[tuple[int, ...]]:
    """What each of the two answers to the same prompt."""
    found = []
    for folder in folders:
        engine = asking.make_engine(folder, slots=2)
        found.append(ask(engine, request(prompt(30))).ids)
        engine.close()
    assert found[0] != found[1]
    return found


class Load:
    """Asks without a pause from two threads until it is told to stop."""

    def __init__(self, engine: LocalEngine) -> None:
        self.answers: list[tuple[int, ...]] = []
        self._begun: list[float] = []
        self.failures: list[str] = []
        self._engine, self._stop, self._lock = engine, threading.Event(), threading.Lock()
        self._threads = [threading.Thread(target=self._ask) for _ in range(2)]

    def _ask(self) -> None:
        while not self._stop.is_set():
            begun = time.monotonic()
            try:
                answer = ask(self._engine, request(prompt(30)))
            except Refused as refusal:
                if refusal.code == "draining" and refusal.retry_after:
                    time.sleep(0.01)
                    continue
                self.failures.append(refusal.message)
                return
            if answer.finish.reason not in ("length", "stop"):
                self.failures.append(answer.finish.message or answer.finish.reason)
            with self._lock:
                self.answers.append(answer.ids)
                self._begun.append(begun)

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def wait_for(self, more: int) -> None:
        wanted, end = len(self.answers) + more, time.monotonic() + 20
        while len(self.answers) < wanted and not self.failures:
            assert time.monotonic() < end
            time.sleep(0.01)

    def since(self, moment: float) -> set[tuple[int, ...]]:
        """What was answered to those who asked after the moment."""
        with self._lock:
            return {ids for ids, begun in zip(self.answers, self._begun, strict=True) if begun >= moment}

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


@pytest.mark.parametrize("room", ["for both", "for one"])
def test_a_model_is_exchanged_and_rolled_back_under_load(
    room: str, folders: list[Path], expected: list[tuple[int, ...]], caplog: pytest.LogCaptureFixture
) -> None:
    """Every answer is wholly of the one model or wholly of the other; none fails, none is cut."""
    engine = LocalEngine()
    facts = engine.activate("tiny", folders[0], SETTINGS)
    settings = SETTINGS if room == "for both" else replace(SETTINGS, memory=int(facts.memory_bytes * 1.5))
    with Load(engine) as load:
        load.wait_for(8)
        new = engine.activate("tiny", folders[1], settings)
        assert engine.models()["tiny"].digest == new.digest != facts.digest
        assert ("does not fit beside the old one" in caplog.text) == (room == "for one")
        now = time.monotonic()
        load.wait_for(12)
        assert load.since(now) == {expected[1]}
        assert engine.roll_back("tiny").digest == facts.digest
        now = time.monotonic()
        load.wait_for(12)
        assert load.since(now) == {expected[0]}
    assert load.failures == []
    assert set(load.answers) == set(expected)
    engine.close()


def test_a_model_that_was_exchanged_leaves_the_memory(folders: list[Path]) -> None:
    """Also while somebody still holds an answer of it."""
    engine = LocalEngine()
    engine.activate("tiny", folders[0], SETTINGS)
    held = engine.submit(request(prompt(30)))
    asking.read(held)
    old = weakref.ref(engine._served["tiny"].scheduler._runner)
    engine.activate("tiny", folders[1], SETTINGS)
    end = time.monotonic() + 20
    while old() is not None:
        assert time.monotonic() < end
        time.sleep(0.01)
        gc.collect()
    held.cancel()
    engine.close()


def test_where_one_fits_there_is_never_a_second_one(
    folders: list[Path], expected: list[tuple[int, ...]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the old one while the new one is loaded, nor what was loaded of a bad one while the old one comes back:
    the kernel would kill the process for it."""
    alive: weakref.WeakSet[Runner] = weakref.WeakSet()
    others = []

    class Counted(Runner):
        def __init__(self, *told: Any, **named: Any) -> None:
            others.append(len(alive))
            super().__init__(*told, **named)
            alive.add(self)

    monkeypatch.setattr(local, "Runner", Counted)
    engine = LocalEngine()
    facts = engine.activate("tiny", folders[0], SETTINGS)
    tight = replace(SETTINGS, memory=int(facts.memory_bytes * 1.5))
    engine.activate("tiny", folders[1], tight)
    wait_until(lambda: not engine._leaving, 20)
    with pytest.raises(BadModelFolder, match="nothing sensible"):
        engine.activate("tiny", damaged(folders[0], tmp_path / "bad", "numbers"), tight)
    assert others == [0, 0, 0, 0]
    assert ask(engine, request(prompt(30))).ids == expected[1]
    engine.close()


def test_several_models_by_name(folders: list[Path], expected: list[tuple[int, ...]]) -> None:
    engine = LocalEngine()
    for name, folder in zip(("tiny", "other"), folders, strict=True):
        engine.activate(name, folder, SETTINGS)
    assert set(engine.models()) == set(engine.status().models) == {"tiny", "other"}
    answers = [engine.submit(request(prompt(30), model=name)) for name in ("tiny", "other")]
    assert [asking.read(answer).ids for answer in answers] == expected
    engine.remove("other")
    with pytest.raises(Refused, match="there is: tiny"):
        engine.submit(request(prompt(30), model="other"))
    with pytest.raises(Refused, match="No model had the name"):
        engine.roll_back("tiny")
    engine.close()


def damaged(folder: Path, target: Path, way: str) -> Path:
    """A copy that is wrong in one way. What is wrong after signing is done again with a right digest."""
    target.mkdir()
    for item in folder.iterdir():
        (target / item.name).write_bytes(item.read_bytes())
    weights = target / "weights.bin"
    if way == "digest":
        raw = bytearray(weights.read_bytes())
        raw[-100] ^= 4
        weights.write_bytes(raw)
        return target
    card = read_card(target)
    if way == "cut":
        weights.write_bytes(weights.read_bytes()[: 128 * 1024])
    elif way == "graph":
        (target / "graph-2.onnx").write_bytes(b"\x00\x01 this is no graph")
    elif way == "unknown operator":
        graph = onnx.load(str(target / "graph-2.onnx"), load_external_data=False)
        graph.graph.node[3].op_type = "OperatorOfTomorrow"
        (target / "graph-2.onnx").write_bytes(graph.SerializeToString())
    elif way == "numbers":
        weights.write_bytes(b"\xff" * weights.stat().st_size)
    write_card(target, replace(card, digest="", files=describe_files(target, card.files)))
    return target


@pytest.mark.parametrize("way", ["digest", "cut", "graph", "unknown operator", "numbers", "empty"])
def test_a_bad_model_changes_nothing(
    way: str, folders: list[Path], expected: list[tuple[int, ...]], tmp_path: Path
) -> None:
    engine = LocalEngine()
    before = engine.activate("tiny", folders[0], SETTINGS)
    bad = tmp_path / "bad"
    if way == "empty":
        bad.mkdir()
    else:
        damaged(folders[1], bad, way)
    with Load(engine) as load:
        load.wait_for(2)
        with pytest.raises(BadModelFolder):
            engine.activate("tiny", bad, SETTINGS)
        load.wait_for(4)
    assert load.failures == [] and set(load.answers) == {expected[0]}
    assert engine.models()["tiny"] == before
    engine.close()


def test_a_bad_model_that_takes_the_room_of_a_good_one_gives_it_back(
    folders: list[Path], expected: list[tuple[int, ...]], tmp_path: Path
) -> None:
    """There is room for one only, so the old model has to go before it shows that the new one is no good."""
    engine = LocalEngine()
    facts = engine.activate("tiny", folders[0], SETTINGS)
    tight = replace(SETTINGS, memory=int(facts.memory_bytes * 1.5))
    with pytest.raises(BadModelFolder):
        engine.activate("tiny", damaged(folders[1], tmp_path / "bad", "unknown operator"), tight)
    assert ask(engine, request(prompt(30))).ids == expected[0]
    engine.close()


def test_what_does_not_fit_is_not_loaded(folders: list[Path], expected: list[tuple[int, ...]]) -> None:
    engine = LocalEngine()
    facts = engine.activate("tiny", folders[0], SETTINGS)
    for name in ("other", "tiny"):
        with pytest.raises(DoesNotFit, match="MiB are granted"):
            engine.activate(name, folders[1], replace(SETTINGS, memory=int(facts.memory_bytes * 0.9)))
    with pytest.raises(BadModelFolder, match="NoSuchExecutionProvider"):
        engine.activate(
            "other", folders[1], replace(SETTINGS, providers=Providers(("NoSuchExecutionProvider",), ({},)))
        )
    assert ask(engine, request(prompt(30))).ids == expected[0]
    engine.close()
