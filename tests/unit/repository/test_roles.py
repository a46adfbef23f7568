# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every role has the same shape, and what its argument specs promise is what its defaults are."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from dev.paths import ROOT
from dev.role_readme import page

ROLES = sorted(path for path in (ROOT / "roles").iterdir() if path.is_dir())
SHAPE = (
    "README.md",
    "defaults/main.yml",
    "meta/argument_specs.yml",
    "meta/main.yml",
    "tasks/main.yml",
    "vars/main.yml",
)

# These make a site together and are proved together, by the scenario "site".
JOURNEY = {
    "artifact",
    "backup",
    "control_plane_lb",
    "drill",
    "etcd",
    "hardening",
    "inference",
    "k3s_agent",
    "k3s_node",
    "k3s_server",
    "life",
    "reset",
    "status",
}


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8")) or {}


def test_there_are_roles() -> None:
    assert ROLES


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_a_role_has_every_file_of_the_shape(role: Path) -> None:
    assert [name for name in SHAPE if not (role / name).is_file()] == []


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_a_role_has_a_molecule_scenario_or_a_part_in_the_journey(role: Path) -> None:
    scenario = ROOT / "molecule" / ("site" if role.name in JOURNEY else role.name)
    missing = [
        name
        for name in ("molecule.yml", "converge.yml", "verify.yml", "cleanup.yml")
        if not (scenario / name).is_file()
    ]
    assert missing == []


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_the_defaults_are_those_of_the_argument_specs(role: Path) -> None:
    specs = load(role / "meta/argument_specs.yml")["argument_specs"]
    promised = {
        name: option["default"]
        for spec in specs.values()
        for name, option in spec.get("options", {}).items()
        if "default" in option
    }
    assert promised == load(role / "defaults/main.yml")


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_every_entry_point_has_a_spec(role: Path) -> None:
    specs = load(role / "meta/argument_specs.yml")["argument_specs"]
    missing = [name for name in specs if not (role / "tasks" / f"{name}.yml").is_file()]
    assert missing == []


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_public_names_carry_the_role_and_internal_ones_two_underscores(role: Path) -> None:
    public = [name for name in load(role / "defaults/main.yml") if not name.startswith(f"{role.name}_")]
    internal = [
        name for path in (role / "vars").glob("*.yml") for name in load(path) if not name.startswith(f"__{role.name}_")
    ]
    assert (public, internal) == ([], [])


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_the_readme_is_the_one_that_make_docs_writes(role: Path) -> None:
    assert (role / "README.md").read_text(encoding="utf-8") == page(role), "run `make docs`"


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_the_readme_can_be_read(role: Path) -> None:
    lines = (role / "README.md").read_text(encoding="utf-8").splitlines()
    columns = {len(re.split(r"(?<!\\)\|", line)) - 2 for line in lines if line.startswith("|")}
    assert columns <= {4}
    assert [line for line in lines if len(line) == 1] == []
