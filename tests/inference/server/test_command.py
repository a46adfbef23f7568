# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The command as a person starts it: a process of its own, with a real model, stopped by a signal."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from holdfast_inference.server.__main__ import main
from holdfast_inference.server.keys import parse_keys

from tests.inference.engine.asking import make_model

from .running import wait_until

COMMAND = (sys.executable, "-m", "holdfast_inference.server")
SOURCE = Path(__file__).resolve().parents[3] / "inference" / "src"


def lines_of(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]


def test_serve_ask_and_stop(tmp_path: Path) -> None:
    model = make_model(tmp_path)
    made = subprocess.run(
        [*COMMAND, "key", "shop"],
        env=os.environ | {"PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        check=True,
    )
    key, line = (told.partition(": ")[2] for told in made.stdout.splitlines())
    (tmp_path / "keys").write_text(line + "\n", encoding="utf-8")
    settings = tmp_path / "server.toml"
    settings.write_text(
        f'port = 0\nadmin_socket = "{tmp_path}/admin.sock"\ndrain_seconds = 5\n[models]\nshop = "{model}"\n'
        f'[engine]\nthreads = 1\n[access]\nkeys_file = "{tmp_path}/keys"\n',
        encoding="utf-8",
    )
    log = tmp_path / "log"
    with log.open("w", encoding="utf-8") as output:
        server = subprocess.Popen(
            [*COMMAND, "run", "--settings", str(settings)], env=os.environ | {"PYTHONPATH": str(SOURCE)}, stderr=output
        )
    try:
        wait_until(lambda: any(told["event"] == "ready" for told in lines_of(log)), 30)
        port = next(told["port"] for told in lines_of(log) if told["event"] == "listening")
        body = {"prompt": "The lamp", "max_tokens": 400, "temperature": 0, "ignore_eos": True, "stream": True}
        headers = {"x-api-key": key}
        url = f"http://127.0.0.1:{port}/v1/completions"
        with httpx.stream("POST", url, json=body, headers=headers, timeout=20) as response:
            received = response.iter_lines()
            next(received)
            server.send_signal(signal.SIGTERM)
            rest = list(received)
        # What was under way may end while the server stops.
        assert rest[-2:] == ["data: [DONE]", ""]
        assert server.wait(15) == 0
    finally:
        server.kill()
        server.wait()
    told = [entry for entry in lines_of(log) if entry["event"] == "request"]
    assert [(entry["key"], entry["status"], entry["completion_tokens"]) for entry in told] == [("shop", 200, 400)]
    assert "lamp" not in log.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["run", "--model", "shop=/nowhere"], "who may ask"),
        (["run", "--anonymous"], "no model"),
        (["run", "--anonymous", "--model", "shop"], "NAME=FOLDER"),
        (["run", "--settings", "/nowhere.toml"], "/nowhere.toml"),
        (["key", "shop", "--scopes", "everything"], "Scopes are"),
    ],
)
def test_what_cannot_work_is_said_at_once(
    capsys: pytest.CaptureFixture[str], arguments: list[str], reason: str
) -> None:
    assert main(arguments) == 2
    assert reason in capsys.readouterr().err


def test_a_folder_that_is_no_model_ends_the_server(tmp_path: Path) -> None:
    ended = subprocess.run(
        [*COMMAND, "run", "--anonymous", "--port", "0", "--model", f"shop={tmp_path}"],
        env=os.environ | {"PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ended.returncode == 1
    assert "no model folder" in json.loads(ended.stderr.splitlines()[-1])["reason"]


def test_a_made_key_fits_its_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["key", "scraper", "--scopes", "metrics", "--priority", "-2"]) == 0
    line = capsys.readouterr().out.splitlines()[1].partition(": ")[2]
    (key,) = parse_keys(line, "line")
    assert (key.name, key.scopes, key.priority) == ("scraper", frozenset({"metrics"}), -2)
