# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""bundle.yml verifies, packs and unpacks, and names whatever is not what it should be."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.bundle_bench import BundleBench, bundle_bench, released
from tests.integration.bundle_server import SHA256, BadServer

PATH = "amd64/bin/tool/1.0/tool"


@pytest.fixture
def bench(tmp_path: Path, server: BadServer) -> Iterator[BundleBench]:
    with bundle_bench(tmp_path) as bench:
        bench.write(*(released(name, server.url("good/file"), SHA256) for name in ("tool", "other")))
        assert bench.run().rc == 0
        yield bench


def test_a_changed_file_is_refused_by_name_and_mended_by_the_next_run(bench: BundleBench) -> None:
    good = bench.tree()
    victim = bench.bundle / PATH
    victim.write_bytes(victim.read_bytes()[:-1])
    for tags in ("verify", "pack"):
        run = bench.run(f"--tags {tags}")
        assert run.rc != 0
        assert f"{PATH} has 1279999 bytes where 1280000 were expected" in run.failures[0]
    assert not Path(f"{bench.bundle}.tar").exists()
    shown = bench.run("--check --diff")
    assert (shown.rc, dict(shown.changed)) == (0, {"localhost": 1})
    assert victim.stat().st_size == 1279999
    mended = bench.run()
    assert (mended.rc, dict(mended.changed)) == (0, {"localhost": 1})
    assert f"{PATH} has 1279999 bytes" in mended.stdout
    assert bench.tree() == good
    assert bench.run("--tags verify").rc == 0


def test_a_bundle_goes_to_another_place_as_one_tar(bench: BundleBench, tmp_path: Path) -> None:
    stick = tmp_path / "stick.tar"
    packed = bench.run("--tags pack", bundle_archive_path=str(stick))
    assert (packed.rc, dict(packed.changed)) == (0, {"localhost": 1}), packed.stdout
    assert not bench.run("--tags pack", bundle_archive_path=str(stick)).changed
    (result,) = packed.results("Pack the bundle into one tar")
    there = {
        "bundle_path": str(tmp_path / "there"),
        "bundle_archive_path": str(stick),
        "bundle_archive_manifest_sha256": result["manifest_sha256"],
    }
    checked = bench.run("--tags unpack --check", **there)
    assert (checked.rc, dict(checked.changed)) == (0, {"localhost": 1}), checked.stdout
    assert not (tmp_path / "there").exists()
    unpacked = bench.run("--tags unpack,verify", **there)
    assert (unpacked.rc, dict(unpacked.changed)) == (0, {"localhost": 1}), unpacked.stdout
    here = bench.tree()
    bench.bundle = tmp_path / "there"
    assert bench.tree() == here
    assert not bench.run("--tags unpack", **there).changed


def test_a_tar_that_was_tampered_with_is_refused_and_the_bundle_stays(bench: BundleBench, tmp_path: Path) -> None:
    stick = tmp_path / "stick.tar"
    assert bench.run("--tags pack", bundle_archive_path=str(stick)).rc == 0
    before = bench.tree()
    content = bytearray(stick.read_bytes())
    content[len(content) // 2] ^= 1
    stick.write_bytes(content)
    (bench.bundle / "bundle.json").write_text('{"schema": 1, "files": []}', encoding="utf-8")
    run = bench.run("--tags unpack", bundle_archive_path=str(stick))
    assert run.rc != 0
    assert "has sha256" in run.failures[0]
    assert "Nothing was unpacked" in run.failures[0]
    assert {**bench.tree(), "bundle.json": b""} == {**before, "bundle.json": b""}


def test_a_mistake_in_the_catalogue_is_named_by_entry_and_field(bench: BundleBench) -> None:
    bench.write({**released("tool", "http://127.0.0.1:9/x", SHA256), "licence": None})
    assert "artifacts.yml, entry 1 (tool 1.0): licence is missing" in bench.run().failures[0]
