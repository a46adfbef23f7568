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
PROGRAMS = sorted(set(re.findall(r"\$\(python\) -m ([a-z0-9_.]+)", MAKEFILE)))
PREFIX = re.findall(r"^python = (.*)", MAKEFILE, re.MULTILINE)[0].replace("$(CURDIR)", str(ROOT)).replace("$$", "$")


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_of_the_makefile_begins(program: str) -> None:
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = ["bash", "-c", f"{PREFIX} -c 'import {program}'"]
    began = subprocess.run(command, check=False, cwd=ROOT, env=clean, capture_output=True, text=True, timeout=60)
    assert began.returncode == 0, began.stderr


def test_the_makefile_names_programs() -> None:
    assert {"dev.run_tests", "dev.demo", "tests.bench.failover_api"} <= set(PROGRAMS)
