# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A full disk is one sentence, the old bundle stays, and with more space the next run works."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.bundle_bench import bundle_bench, released
from tests.integration.bundle_server import CONTENT, SHA256, badly_behaved_server


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system with room for one of our files, but not for two."""
    place = tmp_path / "small"
    place.mkdir()
    size = len(CONTENT) * 3 // 2
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_below_the_cache_is_said_and_nothing_is_half_made(tmp_path: Path, small_disk: Path) -> None:
    with badly_behaved_server() as server, bundle_bench(tmp_path / "bench") as bench:
        bench.write(released("tool", server.url("good/file"), SHA256))
        (small_disk / "filler").write_bytes(bytes(len(CONTENT)))
        run = bench.run(bundle_cache_path=str(small_disk / "cache"))
        assert run.rc != 0
        assert "downloading tool 1.0 (amd64), file: no space is left on the disk" in run.failures[0]
        assert not bench.bundle.exists()
        (small_disk / "filler").unlink()
        again = bench.run(bundle_cache_path=str(small_disk / "cache"))
        assert again.rc == 0, again.stdout


def test_a_full_disk_below_the_bundle_leaves_the_old_bundle(tmp_path: Path, small_disk: Path) -> None:
    with badly_behaved_server() as server, bundle_bench(tmp_path / "bench") as bench:
        bench.bundle = small_disk / "bundle"
        bench.write(released("tool", server.url("good/file"), SHA256))
        assert bench.run().rc == 0
        before = bench.tree()
        bench.write(*(released(name, server.url("good/file"), SHA256) for name in ("tool", "other")))
        run = bench.run()
        assert run.rc != 0
        assert f"writing the bundle {bench.bundle}: no space is left on the disk" in run.failures[0]
        assert bench.tree() == before
        assert sorted(path.name for path in small_disk.iterdir()) == [".bundle.lock", "bundle"]
