# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Making a bundle: a second run changes nothing, damage is named and mended, a failure leaves the old bundle whole."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.catalogue import Artifact, read_catalogue
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.errors import BundleError
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.locks import only_one
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.make import Outcome, check_bundle, make_bundle
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.plan import Wish
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.progress import Progress
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.store import Store
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.swap import beside, staged
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.workshop import Workshop

CHARTS = ("shop", "mill")


def entry(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "version": "0.1.0",
        "licence": "MIT",
        "origin": f"https://example.org/{name}",
        "kind": "chart",
        "groups": ["site"],
        "build": {"chart": name},
    }


class Bench:
    """A catalogue of two charts, a cache, and a place for the bundle."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.bundle = root / "srv/bundle"
        self.said = root / "said"
        for name in CHARTS:
            (root / "files/charts" / name).mkdir(parents=True)
            self.write_chart(name, "first")

    def write_chart(self, name: str, text: str) -> None:
        described = self.root / "files/charts" / name / "Chart.yaml"
        described.write_text(f"apiVersion: v2\nname: {name}\nversion: 0.1.0\ndescription: {text}\n", encoding="utf-8")

    def workshop(self) -> Workshop:
        progress = Progress(self.said)
        return Workshop(self.root / "cache", Store(self.root / "cache", progress), progress)

    def catalogue(self) -> tuple[Artifact, ...]:
        return read_catalogue([entry(name) for name in CHARTS], folder=self.root / "files")

    def make(self, *without: str) -> Outcome:
        return make_bundle(self.bundle, self.catalogue(), Wish(without=without), self.workshop(), wait=0)

    def check(self, *without: str) -> Outcome:
        return check_bundle(self.bundle, self.catalogue(), Wish(without=without), self.workshop())

    def files(self) -> list[str]:
        return sorted(path.relative_to(self.bundle).as_posix() for path in self.bundle.rglob("*") if path.is_file())


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


WHOLE = ["bundle.json", "charts/mill-0.1.0.tgz", "charts/shop-0.1.0.tgz"]


def test_the_first_run_makes_and_the_second_changes_nothing(bench: Bench) -> None:
    assert bench.make().changed
    assert bench.files() == WHOLE
    inode = bench.bundle.stat().st_ino
    again = bench.make()
    assert not again.changed
    assert not any(item["changed"] for item in again.artifacts)
    assert bench.bundle.stat().st_ino == inode


def test_the_manifest_tells_all_of_each_file_in_a_fixed_order(bench: Bench) -> None:
    bench.make()
    data = json.loads((bench.bundle / "bundle.json").read_text(encoding="utf-8"))
    assert [item["path"] for item in data["files"]] == WHOLE[1:]
    first = data["files"][0]
    assert (first["name"], first["version"], first["arch"], first["way"]) == ("mill", "0.1.0", "all", "build")
    assert (first["licence"], first["origin"], first["source"]) == ("MIT", "https://example.org/mill", "charts/mill")
    assert first["size"] == (bench.bundle / first["path"]).stat().st_size


def test_the_same_parts_give_the_same_manifest_on_another_machine(bench: Bench, tmp_path: Path) -> None:
    bench.make()
    other = Bench(tmp_path / "other")
    other.make()
    assert (other.bundle / "bundle.json").read_bytes() == (bench.bundle / "bundle.json").read_bytes()


def test_check_mode_says_what_is_missing_and_writes_nothing(bench: Bench) -> None:
    before = sorted(bench.root.rglob("*"))
    outcome = bench.check()
    assert outcome.changed
    assert [item["summary"] for item in outcome.missing] == [
        "shop 0.1.0: unknown size, to be built",
        "mill 0.1.0: unknown size, to be built",
    ]
    assert outcome.after.count("to be built") == 2
    assert sorted(bench.root.rglob("*")) == before


def test_check_mode_knows_the_size_of_what_the_cache_holds(bench: Bench) -> None:
    bench.make()
    size = (bench.bundle / WHOLE[1]).stat().st_size
    (bench.bundle / WHOLE[1]).unlink()
    (missing,) = bench.check().missing
    assert (missing["size"], missing["exact"]) == (size, True)
    assert missing["summary"].endswith("from the cache")
    assert not (bench.bundle / WHOLE[1]).exists()


def test_check_mode_on_a_whole_bundle_predicts_no_change(bench: Bench) -> None:
    bench.make()
    outcome = bench.check()
    assert (outcome.changed, outcome.missing, outcome.before) == (False, [], outcome.after)


@pytest.mark.parametrize("damage", [b"", b"x", b"longer than it was, by a good deal" * 99])
def test_a_changed_file_is_named_and_mended(bench: Bench, damage: bytes) -> None:
    bench.make()
    victim = bench.bundle / WHOLE[1]
    good = victim.read_bytes()
    victim.write_bytes(damage)
    outcome = bench.make()
    assert outcome.changed
    assert len(outcome.warnings) == 1
    assert outcome.warnings[0].startswith(WHOLE[1])
    assert [item["name"] for item in outcome.artifacts if item["changed"]] == ["mill"]
    assert victim.read_bytes() == good


def test_a_link_in_place_of_a_file_is_mended_and_its_target_stays(bench: Bench, tmp_path: Path) -> None:
    bench.make()
    victim = bench.bundle / WHOLE[1]
    elsewhere = tmp_path / "elsewhere"
    shutil.copy(victim, elsewhere)
    victim.unlink()
    victim.symlink_to(elsewhere)
    assert "is a link" in bench.make().warnings[0]
    assert not victim.is_symlink()
    assert elsewhere.exists()


def test_a_change_in_the_bundle_cannot_reach_into_the_cache(bench: Bench) -> None:
    bench.make()
    with (bench.bundle / WHOLE[1]).open("r+b") as stream:
        stream.write(b"damage")
    bench.make()
    assert "is damaged" not in bench.said.read_text(encoding="utf-8")


def test_a_damaged_cache_is_named_and_mended(bench: Bench) -> None:
    bench.make()
    for path in (bench.root / "cache/store/sha256").rglob("*"):
        if path.is_file():
            path.write_bytes(b"rot")
    shutil.rmtree(bench.bundle)
    assert bench.make().changed
    assert "the cached copy of mill 0.1.0, mill-0.1.0.tgz is damaged" in bench.said.read_text(encoding="utf-8")
    assert bench.files() == WHOLE
    assert not bench.make().changed


def test_a_file_that_nobody_asked_for_is_named_and_removed(bench: Bench) -> None:
    bench.make()
    (bench.bundle / "charts/stranger.tgz").write_bytes(b"")
    outcome = bench.make()
    assert outcome.warnings == ["charts/stranger.tgz is not in bundle.json; it is removed"]
    assert bench.files() == WHOLE


def test_what_is_no_longer_wished_goes_and_comes_back_from_the_cache(bench: Bench) -> None:
    bench.make()
    bench.make("mill")
    assert bench.files() == [WHOLE[0], WHOLE[2]]
    assert "building" not in bench.said.read_text(encoding="utf-8")
    bench.make()
    assert bench.files() == WHOLE


def test_a_changed_recipe_gives_a_new_file(bench: Bench) -> None:
    bench.make()
    old = (bench.bundle / WHOLE[1]).read_bytes()
    bench.write_chart("mill", "second")
    assert [item["name"] for item in bench.make().artifacts if item["changed"]] == ["mill"]
    assert (bench.bundle / WHOLE[1]).read_bytes() != old


def test_a_damaged_manifest_is_mended(bench: Bench) -> None:
    bench.make()
    (bench.bundle / "bundle.json").write_text("{", encoding="utf-8")
    assert bench.make().changed
    assert not bench.make().changed


def test_a_failure_leaves_the_old_bundle_whole(bench: Bench) -> None:
    bench.make()
    before = {name: (bench.bundle / name).read_bytes() for name in WHOLE}
    bench.write_chart("shop", "second")
    (bench.root / "files/charts/mill/Chart.yaml").unlink()
    with pytest.raises(BundleError, match=r"mill 0\.1\.0: .*is missing"):
        bench.make()
    assert {name: (bench.bundle / name).read_bytes() for name in WHOLE} == before


def test_a_folder_that_is_no_bundle_is_refused(bench: Bench) -> None:
    bench.bundle.mkdir(parents=True)
    (bench.bundle / "letters").write_text("dear", encoding="utf-8")
    for work in (bench.make, bench.check):
        with pytest.raises(BundleError, match="is not a bundle and nothing was changed"):
            work()
    assert (bench.bundle / "letters").read_text(encoding="utf-8") == "dear"


def test_a_second_run_at_once_is_refused_with_the_number_of_the_first(bench: Bench) -> None:
    bench.make()
    lock = bench.root / "cache/store/lock"
    complaint = rf"Another run \(process {os.getpid()}\) is using the cache"
    with only_one(lock, "the cache", 0, Progress(), threading.Event()), pytest.raises(BundleError, match=complaint):
        bench.make()
    assert not bench.make().changed


def test_a_power_cut_between_two_renames_is_mended_by_the_next_run(bench: Bench) -> None:
    bench.make()
    bench.bundle.rename(beside(bench.bundle, "old"))
    beside(bench.bundle, "new").mkdir()
    assert not bench.make().changed
    assert sorted(path.name for path in bench.bundle.parent.iterdir()) == [".bundle.lock", "bundle"]


def test_an_error_while_the_new_folder_is_filled_leaves_the_old_one(bench: Bench) -> None:
    bench.make()
    with pytest.raises(RuntimeError), staged(bench.bundle) as fresh:
        (fresh / "half").write_bytes(b"x")
        raise RuntimeError
    assert bench.files() == WHOLE
    assert sorted(path.name for path in bench.bundle.parent.iterdir()) == [".bundle.lock", "bundle"]


def test_where_the_kernel_cannot_exchange_two_renames_do(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.make()
    monkeypatch.setattr(ctypes, "CDLL", _no_library)
    bench.write_chart("mill", "second")
    assert bench.make().changed
    assert bench.files() == WHOLE
    assert sorted(path.name for path in bench.bundle.parent.iterdir()) == [".bundle.lock", "bundle"]


def _no_library(*_: object, **__: object) -> None:
    raise OSError
