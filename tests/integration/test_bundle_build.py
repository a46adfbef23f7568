# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""bundle.yml builds from sources, the same bytes each time, and a killed build leaves nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.bundle_bench import BundleBench, bundle_bench

SOURCE = """// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import "fmt"

var version = "unknown"

func main() { fmt.Println("hello", version) }
"""
PATH = "amd64/bin/hello/1.0/hello"


HELLO = {
    "name": "hello",
    "version": "1.0",
    "licence": "GPL-3.0-or-later",
    "origin": "https://example.org",
    "kind": "binaries",
    "groups": ["test"],
    "files": ["hello"],
    "build": {
        "go": "hello",
        "packages": {"hello": "."},
        "ldflags": ["-s", "-w", "-X main.version=v{version}"],
        "usual_seconds": 20,
    },
}


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[BundleBench]:
    with bundle_bench(tmp_path) as bench:
        folder = bench.files / "build/hello"
        folder.mkdir(parents=True)
        (folder / "go.mod").write_text("module hello\n\ngo 1.24\n", encoding="utf-8")
        (folder / "main.go").write_text(SOURCE, encoding="utf-8")
        bench.write(HELLO)
        yield bench


def go_processes(bench: BundleBench) -> list[int]:
    """Processes that work for this bench: those whose environment names its cache."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            environment = (folder / "environ").read_bytes()
        except OSError:
            continue
        if f"GOCACHE={bench.cache}".encode() in environment:
            found.append(int(folder.name))
    return found


def test_a_killed_build_leaves_nothing_half_made_and_the_next_run_works(bench: BundleBench) -> None:
    with bench.started(bench.root / "first.log", bundle_groups=["test"]) as playbook:
        deadline = time.monotonic() + 60
        # The cache is new, so go has its whole standard library to compile, which takes long enough to be killed.
        while not go_processes(bench):
            assert time.monotonic() < deadline, "go did not start"
            time.sleep(0.1)
        time.sleep(1)
        os.killpg(playbook.pid, signal.SIGKILL)
        playbook.wait()
        while go_processes(bench):
            assert time.monotonic() < deadline, "the build goes on although its playbook is gone"
            time.sleep(0.1)
    assert not bench.bundle.exists()
    run = bench.run(bundle_groups=["test"])
    assert run.rc == 0, run.stdout
    assert "building hello 1.0 (amd64) (usually 20 s on 2 cores)" in run.stdout
    program = bench.bundle / PATH
    assert subprocess.run([program], stdout=subprocess.PIPE, text=True, check=True).stdout == "hello v1.0\n"
    assert not list((bench.cache / "store/tmp").iterdir())
    first = program.read_bytes()
    inode = program.stat().st_ino

    warm = bench.run(bundle_groups=["test"])
    assert (warm.rc, dict(warm.changed)) == (0, {}), warm.stdout
    assert "building" not in warm.stdout
    assert program.stat().st_ino == inode

    # Another place, another cache of results, the same compiler cache: the same bytes.
    other = bench.root / "other"
    (other / "go").mkdir(parents=True)
    (bench.cache / "go").rename(other / "go")
    again = bench.run(bundle_groups=["test"], bundle_cache_path=str(other), bundle_path=str(bench.root / "again"))
    assert again.rc == 0, again.stdout
    assert (bench.root / "again" / PATH).read_bytes() == first


def test_a_program_that_cannot_be_built_is_said_with_what_go_says(bench: BundleBench) -> None:
    (bench.files / "build/hello/main.go").write_text(SOURCE.replace('"fmt"', '"no/such/fmt"'), encoding="utf-8")
    run = bench.run(bundle_groups=["test"])
    assert run.rc != 0
    assert "hello 1.0 (amd64) could not be built" in run.failures[0]
    assert "package no/such/fmt is not in std" in run.failures[0]
    assert not bench.bundle.exists()


def test_without_go_the_remedy_is_said(bench: BundleBench) -> None:
    run = bench.run(bundle_groups=["test"], bundle_go="/nowhere/go")
    assert "Install Go, or take the upstreams' own files with bundle_way: release" in run.failures[0]
