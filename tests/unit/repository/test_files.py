# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What must hold for every file of the repository."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dev import checkout
from dev.paths import ROOT

# Made by tools, or with no place for a comment.
NO_HEADER = re.compile(
    r"^LICENSE$|^LICENSES/|(^|/)(go\.mod|go\.sum|py\.typed|\.helmignore|\.gitkeep|NOTES\.txt)$|\.jsonl?$|^(dev|inference/image)/[a-z-]*requirements\.(in|txt)$"
    r"|^CHANGELOG|^changelogs/changelog\.yaml$"
)
LARGE = 400_000
# A model that was trained here, which tests and demo answer with (inference/fixture/README.md).
WEIGHTS = re.compile(r"^inference/fixture/[a-z]+/model\.safetensors$")

FILES = [ROOT / name for name in checkout.files() if not (ROOT / name).is_symlink() and not WEIGHTS.search(name)]


def licence_of(path: Path) -> str:
    return "Apache-2.0" if path.is_relative_to(ROOT / "inference") else "GPL-3.0-or-later"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_says_whose_it_is_and_under_which_licence(path: Path) -> None:
    if NO_HEADER.search(str(path.relative_to(ROOT))) or path.stat().st_size == 0:
        return
    head = "\n".join(path.read_text(encoding="utf-8").splitlines()[:8])
    assert "SPDX-FileCopyrightText: 2026 The Holdfast authors" in head
    assert f"SPDX-License-Identifier: {licence_of(path)}" in head


def test_no_file_is_a_binary_or_large() -> None:
    wrong = [str(path.relative_to(ROOT)) for path in FILES if path.stat().st_size > LARGE or b"\0" in path.read_bytes()]
    assert wrong == []


def test_code_files_stay_small() -> None:
    long = [
        f"{path.relative_to(ROOT)}: {lines} lines"
        for path in FILES
        if path.suffix in (".py", ".go", ".sh") and (lines := len(path.read_text(encoding="utf-8").splitlines())) > 400
    ]
    assert long == []
