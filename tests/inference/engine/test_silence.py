# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A site tells nobody that it is there: the runtime collects and sends nothing of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest


def left_by(imports: str, home: Path, said: str) -> list[Path]:
    """The files that these imports leave in the home of their user.

    Its environment is a node's: where CI or GITHUB_ACTIONS is set the runtime is silent without us.
    """
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(sys.path),
        "HOME": str(home),
        "ORT_DISABLE_TELEMETRY": said,
    }
    subprocess.run([sys.executable, "-B", "-c", f"import {imports}"], env=environment, check=True)
    return [path for path in home.rglob("*") if path.is_file()]


def test_by_itself_the_runtime_would_number_this_machine(tmp_path: Path) -> None:
    """Should this fail, the runtime has changed its ways: look at what it does now, and at the test below."""
    assert any("onnxruntime" in str(path) for path in left_by("onnxruntime", tmp_path, ""))


@pytest.mark.parametrize("said", ["", "0"])
@pytest.mark.parametrize("room", ["engine.local", "server", "gateway", "export"])
def test_imported_by_us_it_keeps_silent_whatever_the_environment_says(tmp_path: Path, room: str, said: str) -> None:
    assert left_by(f"holdfast_inference.{room}, onnxruntime", tmp_path, said) == []
