# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The gateway's command, as a person starts it, before one real node."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from holdfast_inference.gateway.__main__ import main

from tests.inference.server.running import wait_until

from .real_nodes import MODEL, real_nodes

SOURCE = Path(__file__).resolve().parents[3] / "inference" / "src"


def test_serve_ask_and_stop(tmp_path: Path) -> None:
    with real_nodes(tmp_path, ("a",)) as site:
        (tmp_path / "gateway.toml").write_text(f'[models]\n{MODEL} = "{site.model}"\n', encoding="utf-8")
        command = [sys.executable, "-m", "holdfast_inference.gateway", "--settings", str(tmp_path / "gateway.toml")]
        command += ["--node", f"a={site.url('a')}", "--node-key-file", str(tmp_path / "node-key")]
        log = tmp_path / "gateway.log"
        with log.open("wb") as output:
            gateway = subprocess.Popen(
                [*command, "--port", "0", "--anonymous"], env=os.environ | {"PYTHONPATH": str(SOURCE)}, stderr=output
            )
        try:
            wait_until(lambda: '"event": "ready"' in log.read_text(encoding="utf-8"), 30)
            port = json.loads(log.read_text(encoding="utf-8").splitlines()[0])["port"]
            asked = {"prompt": "The lamp", "temperature": 0, "max_tokens": 20}
            through = httpx.post(f"http://127.0.0.1:{port}/v1/completions", json=asked).json()
            with site.client("a") as node:
                direct = node.post("/v1/completions", json=asked).json()
            assert through["choices"] == direct["choices"]
            gateway.send_signal(signal.SIGTERM)
            assert gateway.wait(15) == 0
        finally:
            gateway.kill()
            gateway.wait()


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ([], "who may ask"),
        (["--anonymous"], "no node"),
        (["--anonymous", "--node", "a"], "NAME=http"),
        (["--anonymous", "--node", "a=http://a:1"], "tokenizer"),
    ],
)
def test_what_cannot_work_is_said_at_once(
    capsys: pytest.CaptureFixture[str], arguments: list[str], reason: str
) -> None:
    assert main(arguments) == 2
    assert reason in capsys.readouterr().err
