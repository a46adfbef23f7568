# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of the contract tests tells what held, what did not, and what the contract itself is not sure of."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.playbook import ROOT

PROGRAM = """
import pytest
from tests.k3s_contract.lines import Table, contract

@contract("2", "S")
def test_one_line_holds():
    pass

@contract("1", "D")
def test_another_one_differs():
    assert False, "seen something else"

@contract("3", "S", unconfirmed=True)
def test_a_third_is_not_sure():
    assert False, "seen a third thing"

@contract("4", "S")
def test_a_fourth_is_not_asked():
    pytest.skip("nobody can")
"""


def test_the_table_lists_every_line_and_only_confirmed_differences_fail(tmp_path: Path) -> None:
    (tmp_path / "test_example.py").write_text(PROGRAM, encoding="utf-8")
    (tmp_path / "conftest.py").write_text(
        "from tests.k3s_contract.lines import Table\n"
        "def pytest_configure(config):\n"
        "    config.addinivalue_line('markers', 'contract: a line')\n"
        "    config.pluginmanager.register(Table())\n",
        encoding="utf-8",
    )
    (tmp_path / "pytest.ini").write_text("[pytest]\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)],
        check=False,
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    rows = [line.split(None, 2) for line in done.stdout.splitlines() if line[:3].strip() in {"1", "2", "3", "4"}]
    assert [row[0] for row in rows[:4]] == ["1", "2", "3", "4"], done.stdout
    assert rows[0][2].startswith("DIFFERS") and rows[0][2].endswith("another one differs  <- seen something else")
    assert rows[1][2].startswith("held")
    assert rows[2][2].startswith("differs (unconfirmed)")
    assert rows[3][2].startswith("not asked")
    assert "1 failed, 1 passed, 1 skipped, 1 xfailed" in done.stdout
    assert "of 4 lines: 1 held, 1 DIFFERS, 1 differs (unconfirmed), 1 not asked" in done.stdout
