# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Schemathesis asks a real server, at every path, for what its OpenAPI document allows and forbids: no failure of the
server, no answer against its description, nothing wrong taken."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from holdfast_inference.server.openapi import OPERATIONS
from holdfast_inference.server.settings import EngineSettings

from dev.clients import environment
from tests.inference.server.real_site import real_site

PATIENCE = 400
CASES = 6
"""At most, for each path and kind of data; thousands were asked by hand."""


def test_what_the_document_says_holds_at_every_path(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    with real_site(tmp_path, engine=EngineSettings(threads=1)) as site:
        with site.server.client() as client:
            (model,) = client.get("/v1/models").json()["data"]
        # By chance it would never ask for a version that there is, and so see nothing but 404.
        there_is = f'[parameters]\n"path.model" = "{model["id"]}"\n"path.version" = "{model["digest"]}"\n'
        (tmp_path / "schemathesis.toml").write_text(there_is, encoding="utf-8")
        done = subprocess.run(
            [
                *(str(environment("openapi") / "bin" / "schemathesis"), "run", f"{site.server.url}/openapi.json"),
                *("--header", f"Authorization: Bearer {site.server.key}", "--request-timeout", "60"),
                *("--phases", "fuzzing", "--max-examples", str(CASES), "--seed", "1", "--no-shrink"),
                # Rules between members, such as stream_options without stream, are not in the document.
                *("--exclude-checks", "positive_data_acceptance", "--continue-on-failure"),
                *("--report", "json", "--report-json-path", str(report), "--warnings", "off"),
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        with site.server.client() as client:
            assert client.get("/health/ready").status_code == 200
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    told = json.loads(report.read_text(encoding="utf-8"))
    # It asks for the document itself before all, and not again.
    described = {f"{operation.method.upper()} {operation.path}" for operation in OPERATIONS}
    assert set(told["valid_rates"]) == described - {"GET /openapi.json"}
    assert told["operations"]["tested"] == len(OPERATIONS) - 1
    assert told["test_cases"]["generated"] > CASES * len(OPERATIONS) / 2
    # Some bodies were taken and answered, and not all refused; which ones is left to chance.
    rates = {name: phases["fuzzing"]["accepted"] for name, phases in told["valid_rates"].items()}
    assert sum(accepted for name, accepted in rates.items() if name.startswith("POST ")) > 2, rates
    of_a_version = {name: accepted for name, accepted in rates.items() if "{version}" in name}
    assert all(accepted for name, accepted in of_a_version.items() if name.startswith("GET ")), rates
    assert sum(accepted for name, accepted in of_a_version.items() if name.startswith("POST ")) > 0, rates
