# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The three ways that people use the collection: a checkout, an AWX project, and an artifact that was installed."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from dev import checkout
from tests.hosts import session_set
from tests.playbook import Run, run_playbook

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
def inventory() -> Iterator[Path]:
    with session_set("artifact", count=1) as host_set:
        yield host_set.inventory


def expect_a_checked_host(run: Run) -> None:
    assert run.rc == 0, run.stdout
    (looked,) = run.results("Look at the node")
    assert looked["node"]["distribution"] == "Debian"
    assert run.changed == {}


def test_what_is_left_of_an_installed_artifact_runs_by_its_full_name(
    installed: Path, inventory: Path, tmp_path: Path
) -> None:
    only_here = {"ANSIBLE_COLLECTIONS_PATH": str(installed)}
    run = run_playbook("holdfast.edge.site", inventory, environment=only_here, project=tmp_path)
    expect_a_checked_host(run)


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


def test_a_checkout_runs_from_its_root(clone: Path, inventory: Path) -> None:
    expect_a_checked_host(run_playbook("site.yml", inventory, project=clone))


def test_a_project_of_awx_finds_the_collection_that_its_requirements_installed(
    clone: Path, inventory: Path, tmp_path: Path
) -> None:
    """AWX installs collections/requirements.yml into a place of its own and names only that place."""
    requirements = str(clone / "collections/requirements.yml")
    galaxy("install", "-r", requirements, "-p", str(tmp_path), cwd=clone, collections=tmp_path)
    run = run_playbook(
        "playbooks/site.yml", inventory, environment={"ANSIBLE_COLLECTIONS_PATH": str(tmp_path)}, project=clone
    )
    expect_a_checked_host(run)


def test_an_inventory_without_nodes_is_refused_with_a_remedy(clone: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.yml").write_text("all: {}\n", encoding="utf-8")
    run = run_playbook("site.yml", tmp_path / "empty.yml", project=clone)
    assert run.rc != 0
    assert "nothing was changed" in run.failures[0]
