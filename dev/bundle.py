# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The bundle of real parts that demo, tests and benchmarks use.

`python -m dev.bundle` builds what is missing of it and verifies the rest.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dev.paths import BUNDLE, CACHE, ROOT
from tests.playbook import run_playbook

# k3s itself has only its release way, which needs the internet: a stand-in takes its place here, and it is said.
STAND_IN = ROOT / "tests/k3s/artifacts.yml"
INFERENCE = ROOT / "inference/artifacts.yml"
STAND_IN_WORDS = "k3s here is a stand-in: upstream Kubernetes behind k3s's command line (tests/k3s/README.md)"
MIB = 1024 * 1024


def say(text: str) -> None:
    print(text, flush=True)


def bundle_wishes(cache: Path) -> dict[str, Any]:
    """What demo, tests and benchmark ask of bundle.yml: everything that can be built here, below that folder."""
    return {
        "bundle_path": str(cache / BUNDLE.name),
        "bundle_cache_path": str(cache),
        "bundle_way": "build",
        "bundle_groups": ["site", "test"],
        "bundle_more_catalogues": [str(STAND_IN), str(INFERENCE)],
    }


def make_bundle() -> bool:
    """Build what is missing of the bundle and verify the rest; whether it stands there whole."""
    run = run_playbook("playbooks/bundle.yml", extravars=bundle_wishes(CACHE), quiet=False)
    for failure in run.failures:
        say(f"bundle: {failure}")
    return run.rc == 0


def columns(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[index]) for row in rows) for index in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows)


def bundle_table() -> str:
    files: list[dict[str, Any]] = json.loads((BUNDLE / "bundle.json").read_text(encoding="utf-8"))["files"]
    rows: list[tuple[str, ...]] = [("part", "version", "way", "file", "MiB", "sha256")]
    rows += [
        (
            *(file["name"], file["version"], file["way"], Path(file["path"]).name),
            *(f"{file['size'] / MIB:.1f}", file["sha256"][:12]),
        )
        for file in files
    ]
    total = sum(file["size"] for file in files) / MIB
    return f"{columns(rows)}\n{len(files)} files, {total:.0f} MiB in {BUNDLE}\n{STAND_IN_WORDS}"


if __name__ == "__main__":
    sys.exit(0 if make_bundle() else 1)
