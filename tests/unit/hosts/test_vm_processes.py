# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finding and ending a machine's programs, and nobody else's."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.hosts import vm_processes

SLEEP = "import sys; print('ready', flush=True); sys.stdin.read()"


@pytest.fixture
def start(tmp_path: Path) -> Iterator[object]:
    """Start a Python that waits, under another name, with an argument that marks it."""
    with ExitStack() as stack:

        def run(name: str, argument: str) -> subprocess.Popen[str]:
            program = tmp_path / name
            if not program.exists():
                program.symlink_to(sys.executable)
            command = [str(program), "-c", SLEEP, argument]
            child = stack.enter_context(
                subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
            )
            stack.callback(child.kill)
            assert child.stdout is not None
            assert child.stdout.readline() == "ready\n"
            return child

        yield run


def test_only_the_program_of_that_name_with_that_mark_is_found(start: object, tmp_path: Path) -> None:
    assert callable(start)
    mark = f"guest={tmp_path}-one,"
    wanted = start("machine", f"{mark}more")
    start("machine", f"guest={tmp_path}-oneandmore,more")
    start("stranger", f"{mark}more")
    assert vm_processes.find("machine", mark) == [wanted.pid]


def test_kill_ends_the_marked_one_leaves_others_and_may_be_repeated(start: object, tmp_path: Path) -> None:
    assert callable(start)
    mark = f"guest={tmp_path}-one,"
    wanted = start("machine", mark)
    other = start("machine", f"guest={tmp_path}-two,")
    assert vm_processes.kill("machine", mark)
    assert wanted.wait(timeout=5) == -9
    assert not vm_processes.kill("machine", mark)
    assert other.poll() is None
