# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two of the ways that people use the collection: an AWX project, and an artifact that was installed.

The third one, a checkout, is what every other test uses.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from dev import checkout
from tests.integration.signing import make_key
from tests.playbook import Run, run_playbook
from tests.site import site_hosts

KEPT = {"meta", "plugins", "roles", "playbooks"}
MIB = 1024 * 1024


def galaxy(*arguments: str, cwd: Path, collections: Path) -> str:
    """Run ansible-galaxy where `collections` is the only place that it knows, as on a machine without this checkout."""
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(collections)}
    command = ["ansible-galaxy", "collection", *arguments]
    done = subprocess.run(command, cwd=cwd, env=environment, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("clone") / "project"
    checkout.copy(target)
    return target


@pytest.fixture(scope="module")
def artifact(clone: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("artifact")
    galaxy("build", "--output-path", str(out), cwd=clone, collections=out)
    return next(out.glob("holdfast-edge-*.tar.gz"))


@pytest.fixture(scope="module")
def installed(artifact: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A collections path that holds the installed artifact, cut down to what must be enough."""
    collections = tmp_path_factory.mktemp("collections")
    galaxy("install", str(artifact), "--collections-path", str(collections), cwd=collections, collections=collections)
    collection = collections / "ansible_collections/holdfast/edge"
    for entry in collection.iterdir():
        if entry.name not in KEPT:
            shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
    return collections


def test_the_artifact_is_small(artifact: Path) -> None:
    assert artifact.stat().st_size < 2 * MIB


def test_the_artifact_holds_no_tests_and_no_tools(installed: Path) -> None:
    names = {entry.name for entry in (installed / "ansible_collections/holdfast/edge").iterdir()}
    assert names == KEPT


@pytest.fixture(scope="module")
def inventory(bundle_path: Path) -> Iterator[Path]:
    variables = {"site_vip": "10.74.0.10", "bundle_path": str(bundle_path)}
    with site_hosts("artifact", servers=3, network="10.74.0.0/24", variables=variables) as site:
        yield site.inventory


def expect_a_planned_site(run: Run) -> None:
    """Check mode reads every role, template and module that a first run needs."""
    assert run.rc == 0, run.failures or run.stdout
    assert sorted(name for name, count in run.changed.items() if count) == ["artifact-1", "artifact-2", "artifact-3"]


def test_what_is_left_of_an_installed_artifact_runs_by_its_full_name(
    installed: Path, inventory: Path, tmp_path: Path
) -> None:
    only_here = {"ANSIBLE_COLLECTIONS_PATH": str(installed)}
    run = run_playbook("holdfast.edge.site", inventory, cmdline="--check", environment=only_here, project=tmp_path)
    expect_a_planned_site(run)


def test_a_site_that_names_public_keys_is_not_begun_with_a_bundle_that_nobody_signed(
    installed: Path, inventory: Path, tmp_path: Path
) -> None:
    """For real and not in check mode: the refusal comes before the first change."""
    make_key(tmp_path)
    trust = {"bundle_public_keys": [(tmp_path / "bundle.pub").read_text(encoding="utf-8")]}
    only_here = {"ANSIBLE_COLLECTIONS_PATH": str(installed)}
    run = run_playbook("holdfast.edge.site", inventory, extravars=trust, environment=only_here, project=tmp_path)
    assert run.rc != 0 and not run.changed
    assert "there is no bundle.json.sig" in run.failures[0] and "what is on nodes is untouched" in run.failures[0]


def test_what_is_left_of_an_installed_artifact_can_plan_a_bundle(installed: Path, tmp_path: Path) -> None:
    run = run_playbook(
        "holdfast.edge.bundle",
        extravars={"bundle_path": str(tmp_path / "bundle"), "bundle_cache_path": str(tmp_path / "cache")},
        cmdline="--check",
        environment={"ANSIBLE_COLLECTIONS_PATH": str(installed)},
        project=tmp_path,
    )
    assert run.rc == 0, run.stdout
    assert "etcd" in run.stdout
    assert not (tmp_path / "bundle").exists()


def test_a_project_of_awx_finds_the_collection_that_its_requirements_installed(
    clone: Path, inventory: Path, tmp_path: Path
) -> None:
    """AWX installs collections/requirements.yml into a place of its own and names only that place."""
    requirements = str(clone / "collections/requirements.yml")
    galaxy("install", "-r", requirements, "-p", str(tmp_path), cwd=clone, collections=tmp_path)
    only_there = {"ANSIBLE_COLLECTIONS_PATH": str(tmp_path)}
    run = run_playbook("playbooks/site.yml", inventory, cmdline="--check", environment=only_there, project=clone)
    expect_a_planned_site(run)


def test_an_inventory_without_nodes_is_refused_with_a_remedy(clone: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.yml").write_text("all: {}\n", encoding="utf-8")
    run = run_playbook("site.yml", tmp_path / "empty.yml", project=clone)
    assert run.rc != 0
    assert "nothing was changed" in run.failures[0]
