# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The operator's command: what an image without a shell has in the place of curl. A real engine behind its socket."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from holdfast_inference.server import operator
from holdfast_inference.server.operator import main

from .real_site import real_site

SOURCE = Path(operator.__file__).resolve().parents[2]


def test_drain_resume_and_look(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with real_site(tmp_path) as site, site.server.client() as client:
        socket = f"--socket={site.server.admin}"
        assert main(["drain", '{"hand_over_after": 0}', socket]) == 0
        assert json.loads(capsys.readouterr().out)["draining"] is True
        assert client.get("/health/ready").status_code == 503
        assert main(["resume", socket]) == 0
        assert client.get("/health/ready").status_code == 200
        capsys.readouterr()
        assert main(["status", socket]) == 0
        assert "requests" in json.loads(capsys.readouterr().out)


def test_what_the_server_refuses_is_told_and_is_a_failure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with real_site(tmp_path) as site:
        assert main(["activate", '{"model": "shop"}', f"--socket={site.server.admin}"]) == 1
    assert "folder" in capsys.readouterr().out


def test_what_cannot_be_asked_is_said_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["drain", f"--socket={tmp_path}/none"]) == 2
    assert f"{tmp_path}/none does not answer" in capsys.readouterr().err
    assert main(["drain", "[]"]) == 2
    assert "is not a JSON object" in capsys.readouterr().err


def test_it_loads_nothing_of_an_engine() -> None:
    seen = (
        "import sys, holdfast_inference.server.operator;"
        "print(sorted({'numpy', 'onnxruntime', 'httpx'} & {*sys.modules}))"
    )
    command = [sys.executable, "-c", seen]
    shown = subprocess.run(command, env={"PYTHONPATH": str(SOURCE)}, capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"
