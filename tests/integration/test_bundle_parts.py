# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""bundle.yml takes several catalogues, and makes a program and an archive of images out of other artifacts."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import tarfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.integration.bundle_bench import COMPILER_CACHE, BundleBench, bundle_bench, released
from tests.integration.bundle_server import CONTENT, SHA256, BadServer

LAUNCHER = """// SPDX-FileCopyrightText: 2026 The Holdfast authors
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"archive/zip"
	"os"
)

func main() {
	path, err := os.Executable()
	if err != nil {
		panic(err)
	}
	archive, err := zip.OpenReader(path)
	if err != nil {
		panic(err)
	}
	for _, member := range archive.File {
		println(member.Name, member.UncompressedSize64)
	}
}
"""
PROGRAM = "amd64/bin/whole/1.0/whole"
IMAGES = "amd64/archives/images/1.0/images.tar"


def entry(name: str, kind: str, build: dict[str, Any], **more: Any) -> dict[str, Any]:
    common = {"version": "1.0", "licence": "MIT", "origin": "https://example.org", "groups": ["test"]}
    return {"name": name, "kind": kind, "files": [name], "build": build, **common, **more}


def image(name: str, url: str) -> dict[str, Any]:
    described = {
        "reference": f"registry.example.org/{name}:{{version}}",
        "entrypoint": ["/file"],
        "files": {"/file": name},
        "user": "1:1",
    }
    return {**released(name, url, SHA256), "kind": "image", "groups": ["test"], "image": described}


@pytest.fixture
def bench(tmp_path: Path, server: BadServer) -> Iterator[BundleBench]:
    """The tool and the images are released and in the first catalogue, the launcher is built and in the second."""
    with bundle_bench(tmp_path, COMPILER_CACHE) as bench:
        url = server.url("trickle/file")
        bench.write(released("tool", url, SHA256), image("web", url), image("database", url))
        compose = {"program": "launcher 1.0 launcher", "members": {"bin/tool": "tool 1.0 tool"}, "images": ["web 1.0"]}
        more = bench.root / "more"
        more.mkdir()
        (more / "go.mod").write_text("module launcher\n\ngo 1.24\n", encoding="utf-8")
        (more / "main.go").write_text(LAUNCHER, encoding="utf-8")
        entries = [
            entry("launcher", "binaries", {"go": ".", "packages": {"launcher": "."}}, groups=[]),
            entry("whole", "binaries", {"compose": compose}),
            entry("images", "archive", {"images": ["web 1.0", "database 1.0"]}, files=["images.tar"]),
        ]
        (more / "artifacts.yml").write_text(yaml.safe_dump({"bundle_artifacts": entries}), encoding="utf-8")
        yield bench


def wishes(bench: BundleBench) -> dict[str, Any]:
    return {
        "bundle_groups": ["test"],
        "bundle_way": "build",
        "bundle_more_catalogues": [str(bench.root / "more/artifacts.yml")],
    }


def test_a_killed_run_goes_on_and_makes_the_whole_out_of_its_parts(bench: BundleBench, server: BadServer) -> None:
    part = bench.cache / f"store/partial/{SHA256}.part"
    server.slow.set()
    with bench.started(bench.root / "first.log", **wishes(bench)) as playbook:
        deadline = time.monotonic() + 120
        # The launcher is in the store, the tool on its way.
        while not (any((bench.cache / "store/records").glob("*")) and part.exists()):
            assert time.monotonic() < deadline, (bench.root / "first.log").read_text(encoding="utf-8")
            time.sleep(0.05)
        os.killpg(playbook.pid, signal.SIGKILL)
        playbook.wait()
        # The module is an orphan now; it ends by itself because nobody listens any more.
        holder = Path("/proc") / (bench.cache / "store/lock").read_text(encoding="utf-8").strip()
        while holder.exists():
            assert time.monotonic() < deadline, "the orphan still works"
            time.sleep(0.05)
    assert not bench.bundle.exists()
    server.slow.clear()
    run = bench.run(**wishes(bench))
    assert (run.rc, dict(run.changed)) == (0, {"localhost": 1}), run.stdout
    assert "building launcher" not in run.stdout
    wished = [IMAGES, PROGRAM, "amd64/images/database-1.0.tar", "amd64/images/web-1.0.tar", "bundle.json"]
    assert sorted(bench.tree()) == sorted(wished)
    # The program itself, as it was compiled, finds what was put behind it.
    program = bench.bundle / PROGRAM
    told = subprocess.run([program], stderr=subprocess.PIPE, text=True, check=True).stderr
    assert told.splitlines()[1:] == [f"bin/tool {len(CONTENT)}"]
    with zipfile.ZipFile(program) as archive:
        assert archive.read("bin/tool") == CONTENT
        assert json.loads(archive.read("payload.json"))["images"] == {"web": "registry.example.org/web:1.0"}
    with tarfile.open(bench.bundle / IMAGES) as tar:
        stream = tar.extractfile("manifest.json")
        assert stream is not None
        assert len(json.load(stream)) == 2

    warm = bench.run(**wishes(bench))
    assert (warm.rc, dict(warm.changed)) == (0, {}), warm.stdout


def test_what_is_wrong_with_a_further_catalogue_is_said_with_its_name(bench: BundleBench) -> None:
    more = bench.root / "more/artifacts.yml"
    absent = bench.run(bundle_more_catalogues=[str(more.with_name("other.yml"))])
    assert f"There is no file {more.with_name('other.yml')}" in absent.failures[0]
    good = yaml.safe_load(more.read_text(encoding="utf-8"))
    good["bundle_artifacts"][1]["build"]["compose"]["program"] = "launcher 2.0 launcher"
    more.write_text(yaml.safe_dump(good), encoding="utf-8")
    wrong = bench.run(**wishes(bench))
    assert f"{more}, whole 1.0: build.compose.program names launcher 2.0" in wrong.failures[0]
    more.write_text("---\nothers: []\n", encoding="utf-8")
    assert f"{more} has no bundle_artifacts" in bench.run(**wishes(bench)).failures[0]
    assert not bench.bundle.exists()
