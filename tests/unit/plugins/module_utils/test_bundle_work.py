# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that are started end with their starter, builds say what they lack, and long steps show signs of life."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from ansible_collections.holdfast.edge.plugins.module_utils._bundle import gobuild
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.catalogue import Artifact
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.catalogue_builds import GoBuild
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.commands import run_guarded
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.errors import BundleError, StoppedError
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.progress import (
    Progress,
    spoken_seconds,
    spoken_size,
)

BUILD = GoBuild("tool", {"tool": "."}, ("-s", "-X main.version=v{version}"), ("a",), None)
TOOL = Artifact("tool", "1.0", "MIT", "https://example.org", "binaries", ("site",), ("tool",), build=BUILD)


def go_that_says(folder: Path, version: str) -> str:
    """A program in the place of go that knows only its version."""
    program = folder / f"go-{version}"
    program.write_text(f"#!/bin/sh\necho {version}\n", encoding="utf-8")
    program.chmod(0o755)
    return str(program)


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    (tmp_path / "go.mod").write_text("module tool\n\ngo 1.25.3\n", encoding="utf-8")
    (tmp_path / "main.go").write_text("package main\n\nfunc main() {}\n", encoding="utf-8")
    return tmp_path


def lives(number: int) -> bool:
    try:
        return Path(f"/proc/{number}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until_gone(number: int) -> None:
    deadline = time.monotonic() + 10
    while lives(number):
        assert time.monotonic() < deadline, f"process {number} still lives"
        time.sleep(0.05)


def test_the_lines_of_a_program_are_heard_and_its_result_is_told(tmp_path: Path) -> None:
    said: list[str] = []
    code = run_guarded(
        ["sh", "-c", "echo one; echo two >&2; exit 3"], tmp_path, os.environ, threading.Event(), said.append
    )
    assert (code, said) == (3, ["one", "two"])


def test_stopping_ends_the_program_and_all_that_it_started(tmp_path: Path) -> None:
    cancel = threading.Event()
    numbers: list[str] = []

    def line(said: str) -> None:
        numbers.append(said)
        cancel.set()

    with pytest.raises(StoppedError):
        run_guarded(["sh", "-c", "sleep 60 & echo $!; wait"], tmp_path, os.environ, cancel, line)
    wait_until_gone(int(numbers[0]))


def test_a_program_ends_when_its_starter_is_killed(tmp_path: Path) -> None:
    script = (
        "import os, sys, threading\n"
        f"sys.path[:0] = {sys.path!r}\n"
        f"from {run_guarded.__module__} import run_guarded\n"
        "from pathlib import Path\n"
        "run_guarded(['sh', '-c', 'echo $$; exec sleep 60'], Path('.'), os.environ, threading.Event(),"
        " lambda said: print(said, flush=True))\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], cwd=tmp_path, stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        child = int(starter.stdout.readline())
        assert lives(child)
        starter.send_signal(signal.SIGKILL)
    wait_until_gone(child)


def test_a_missing_go_is_said_with_the_remedy(recipe: Path) -> None:
    with pytest.raises(BundleError, match=r"'no-such-go' does not start.*Install Go, or .*bundle_way: release"):
        gobuild.recipe_facts(TOOL, BUILD, "amd64", recipe, "no-such-go")


@pytest.mark.parametrize("version", ["go1.24.9", "go1.25.2", "go1.9"])
def test_a_go_that_is_too_old_is_said_with_the_remedy(recipe: Path, version: str) -> None:
    with pytest.raises(BundleError, match=rf"tool 1\.0 needs Go 1\.25\.3 or later .* here is Go {version[2:]}\."):
        gobuild.recipe_facts(TOOL, BUILD, "amd64", recipe, go_that_says(recipe.parent, version))


@pytest.mark.parametrize("version", ["go1.25.3", "go1.26.8", "go1.100.1", "devel go1.27-abc"])
def test_a_go_that_is_new_enough_is_taken(recipe: Path, version: str) -> None:
    program = go_that_says(recipe.parent, version.replace(" ", "_"))
    Path(program).write_text(f"#!/bin/sh\necho '{version}'\n", encoding="utf-8")
    facts = gobuild.recipe_facts(TOOL, BUILD, "amd64", recipe, program)
    assert facts["ldflags"] == "-s -X main.version=v1.0"


def test_whatever_decides_the_result_is_part_of_the_key(recipe: Path) -> None:
    go = go_that_says(recipe.parent, "go1.26.8")

    def facts(architecture: str = "amd64", program: str = go) -> object:
        return gobuild.recipe_facts(TOOL, BUILD, architecture, recipe, program)

    first = facts()
    assert facts() == first
    assert facts("arm64") != first
    assert facts(program=go_that_says(recipe.parent, "go1.26.9")) != first
    (recipe / "main.go").write_text("package main\n", encoding="utf-8")
    assert facts() != first


def test_sources_without_pins_are_refused(recipe: Path) -> None:
    (recipe / "go.mod").write_text("module tool\n\ngo 1.25\n\nrequire example.org/x v1.0.0\n", encoding="utf-8")
    with pytest.raises(BundleError, match=r"tool 1\.0: .* has no go\.mod and go\.sum"):
        gobuild.recipe_facts(TOOL, BUILD, "amd64", recipe, go_that_says(recipe.parent, "go1.26.8"))


def test_what_the_user_has_set_for_go_does_not_change_the_result(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("GOFLAGS", "GOAMD64", "CGO_ENABLED", "GOEXPERIMENT", "GOOS"):
        monkeypatch.setenv(name, "mine")
    monkeypatch.setenv("GOPROXY", "mirror")
    settings = gobuild.environment(tmp_path, "arm64")
    assert "mine" not in settings.values()
    assert (settings["GOPROXY"], settings["GOARCH"]) == ("mirror", "arm64")


def test_a_step_is_announced_gives_signs_of_life_and_ends(tmp_path: Path) -> None:
    said = tmp_path / "said"
    progress = Progress(said, heartbeat=0.05)
    with progress.step("building tool", "usually 5 min on 2 cores", lambda: "12 packages compiled"):
        time.sleep(0.2)
    lines = said.read_text(encoding="utf-8").splitlines()
    assert lines[0] == "bundle: building tool (usually 5 min on 2 cores)"
    assert lines[1] == "bundle: still building tool, 0 s so far, 12 packages compiled"
    assert lines[-1] == "bundle: done building tool in 0 s"


def test_a_step_that_fails_is_not_called_done(tmp_path: Path) -> None:
    said = tmp_path / "said"
    with pytest.raises(BundleError), Progress(said).step("building tool"):
        raise BundleError("no")
    assert said.read_text(encoding="utf-8") == "bundle: building tool\n"


def test_times_and_sizes_are_said_as_people_say_them() -> None:
    assert [spoken_seconds(seconds) for seconds in (4.4, 90, 300, 1234)] == ["4 s", "1 min 30 s", "5 min", "20 min"]
    assert [spoken_size(size) for size in (None, 5, 2048, 3 << 20, 5 << 30)] == [
        "unknown size",
        "5 B",
        "2.0 KiB",
        "3.0 MiB",
        "5.0 GiB",
    ]
