# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The modules keep what they say, and the collection's metadata names what is there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from dev.paths import ROOT

MODULES = sorted((ROOT / "plugins/modules").glob("*.py"))


def documentation(module: Path) -> dict[str, Any]:
    match = re.search(r'^DOCUMENTATION = r"""(.*?)^"""', module.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert match, f"{module.name} has no DOCUMENTATION block"
    loaded: dict[str, Any] = yaml.safe_load(match.group(1))
    return loaded


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.stem)
def test_a_module_says_what_it_supports(module: Path) -> None:
    attributes = documentation(module).get("attributes", {})
    assert {"check_mode", "diff_mode", "idempotent"} <= set(attributes)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.stem)
def test_a_module_that_says_it_supports_check_mode_does(module: Path) -> None:
    support = documentation(module)["attributes"]["check_mode"]["support"]
    declared = "supports_check_mode=True" in module.read_text(encoding="utf-8")
    assert declared == (support in ("full", "partial"))


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.stem)
def test_a_module_is_thin(module: Path) -> None:
    code = module.read_text(encoding="utf-8").split("from ansible.module_utils.basic", 1)[1]
    assert len(code.splitlines()) <= 120


def test_module_utils_use_the_standard_library_only() -> None:
    import sys

    allowed = set(sys.stdlib_module_names) | {"ansible_collections", "__future__", "ansible"}
    wrong = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in (ROOT / "plugins/module_utils").rglob("*.py")
        for name in re.findall(
            r"^\s*(?:from|import) ([a-zA-Z_][a-zA-Z0-9_]*)", path.read_text(encoding="utf-8"), re.MULTILINE
        )
        if name not in allowed
    ]
    assert wrong == []


def test_every_variable_that_a_message_or_a_page_tells_to_give_is_one() -> None:
    """What an operator types from a screen must be read by somebody."""
    given = re.compile(r"-e ([a-z0-9_]+)=")
    plays = [*(ROOT / "playbooks").glob("*.yml"), *(ROOT / "roles").glob("*/*/*.yml")]
    read = " ".join(given.sub("", path.read_text(encoding="utf-8")) for path in plays)
    told = [*plays, *(ROOT / "plugins").rglob("*.py"), *(ROOT / "docs").glob("*.md"), ROOT / "README.md"]
    names = {name for path in told for name in given.findall(path.read_text(encoding="utf-8"))}
    assert len(names) > 10
    assert [name for name in sorted(names) if not re.search(rf"\b{name}\b", read)] == []


def test_a_key_of_k3s_that_is_refused_is_told_with_a_variable_of_the_roles() -> None:
    config = (ROOT / "plugins/module_utils/_k3s/config.py").read_text(encoding="utf-8")
    told = set(re.findall(r'"(k3s_[a-z0-9_]+)"', config.partition("DECIDED = {")[2].partition("}")[0]))
    read = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "roles").glob("k3s_*/defaults/main.yml"))
    assert len(told) > 5
    assert [name for name in sorted(told) if f"\n{name}: " not in read] == []


def test_the_action_group_names_every_module() -> None:
    runtime = yaml.safe_load((ROOT / "meta/runtime.yml").read_text(encoding="utf-8"))
    assert sorted(runtime["action_groups"]["all"]) == [module.stem for module in MODULES]


def test_every_playbook_of_the_root_is_one_of_the_collection() -> None:
    root = yaml.safe_load((ROOT / "site.yml").read_text(encoding="utf-8"))
    imported = [play["ansible.builtin.import_playbook"] for play in root]
    assert imported == ["playbooks/site.yml"]
    assert all((ROOT / name).is_file() for name in imported)
