# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page about the API names every path and every setting, and lines for curl work as they stand in the documents."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

from holdfast_inference.server.app import ADMIN_ROUTES, ROUTES
from holdfast_inference.server.settings import SECTIONS, Settings

from dev.fixture.versions import NAME, VERSIONS, export_version
from dev.paths import ROOT

from .real_site import real_site

FENCE = "`" * 3
PAGE = (ROOT / "docs" / "inference-api.md").read_text(encoding="utf-8")


def test_every_path_is_named() -> None:
    for route in (*ROUTES, *ADMIN_ROUTES):
        # What lies below a model of the Open Inference Protocol is named by its end.
        end = route.path.rsplit("/", 1)[1] if route.path.startswith("/v2/models/") else route.path
        assert end in PAGE, route.path


def test_every_setting_is_named() -> None:
    kinds: tuple[type[Any], ...] = (Settings, *SECTIONS)
    for kind in kinds:
        for setting in dataclasses.fields(kind):
            if not isinstance(setting.type, str) or setting.type not in [section.__name__ for section in SECTIONS]:
                assert f"`{setting.name}`" in PAGE or f"[{setting.name}]" in PAGE, setting.name


def blocks_for_curl() -> list[str]:
    """Those of the README files first, since what the page shows ends with a drain."""
    pages = [*sorted((ROOT / "inference").rglob("*.md")), *sorted((ROOT / "docs").glob("inference*.md"))]
    blocks = [block for page in pages for block in page.read_text(encoding="utf-8").split(FENCE)[1::2]]
    return [block for block in blocks if re.search("^curl ", block, re.MULTILINE)]


def test_the_lines_for_curl_work_as_they_stand(tmp_path: Path) -> None:
    readme, page = blocks_for_curl()
    model = tmp_path / "shop"
    export_version(VERSIONS[0], model)
    with real_site(tmp_path, model, models={NAME: model}) as site:
        # Told to curl, so that the lines stay as people copy them; nothing but the operator's socket lies elsewhere.
        (tmp_path / ".curlrc").write_text(
            f'silent\nshow-error\nfail\nconnect-to = "127.0.0.1:8080:127.0.0.1:{site.server.port}"\n', encoding="ascii"
        )

        def run(script: str) -> str:
            return subprocess.run(
                ["bash", "-ec", script.replace("/run/holdfast/admin.sock", str(site.server.admin))],
                env=os.environ | {"KEY": site.server.key, "CURL_HOME": str(tmp_path)},
                capture_output=True,
                text=True,
                timeout=60,
                check=True,
            ).stdout

        price, _, status = run(readme).partition("\n<!doctype html>")
        stream, _, drained = run(page).partition("data: [DONE]")
    assert re.fullmatch(r"The kettle costs [0-9.]+ euros\.", json.loads(price)["choices"][0]["message"]["content"])
    assert "Holdfast inference" in status
    chunks = [json.loads(line[6:]) for line in stream.splitlines() if line]
    told = [choice for chunk in chunks for choice in chunk["choices"]]
    assert "".join(choice["delta"].get("content") or "" for choice in told) == "The lamp is in aisle 17."
    assert told[-1]["finish_reason"] == "stop"
    assert json.loads(drained) == {"draining": True, "under_way": 0, "handed_over": 0}
