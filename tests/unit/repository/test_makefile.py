# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every program that the Makefile names begins in the environment that the Makefile gives it."""

from __future__ import annotations

import os
import re
import subprocess

import pytest

from dev.paths import ROOT

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = re.findall(r"^([a-z0-9-]+):[^\n]*##[^\n]*\n\t@\$\(python\) -m", MAKEFILE, re.MULTILINE)


@pytest.mark.parametrize("target", TARGETS)
def test_the_program_of_a_target_begins(target: str) -> None:
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH" and not name.startswith("MAKE")}
    told = subprocess.run(
        ["make", "--dry-run", "--no-print-directory", target],
        check=True,
        cwd=ROOT,
        env=clean,
        capture_output=True,
        text=True,
    )
    begin = re.sub(r" -m ([a-z0-9_.]+).*", r" -c 'import \1'", told.stdout.splitlines()[-1])
    assert "import" in begin
    began = subprocess.run(
        ["bash", "-c", begin], check=False, cwd=ROOT, env=clean, capture_output=True, text=True, timeout=60
    )
    assert began.returncode == 0, began.stderr


def test_targets_are_found() -> None:
    assert {"test", "demo", "bench-failover-api", "bench-soak"} <= set(TARGETS)
