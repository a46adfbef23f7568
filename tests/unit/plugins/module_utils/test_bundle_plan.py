# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The plan takes what was wished, says where it had to deviate, and refuses names that do not exist."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.catalogue import Artifact, read_catalogue
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.errors import BundleError
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.plan import Wish, choose

PIN = "b" * 64


def artifact(name: str, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "version": "1",
        "licence": "MIT",
        "origin": "https://example.org",
        "kind": "binaries",
        "groups": ["site"],
        "files": [name],
        **more,
    }


def release(amd64: str | None = PIN, arm64: str | None = PIN) -> dict[str, Any]:
    return {"url": "https://example.org/{arch}", "sha256": {"amd64": amd64, "arm64": arm64}}


def build(name: str) -> dict[str, Any]:
    return {"go": name, "packages": {name: "."}}


@pytest.fixture
def catalogue() -> tuple[Artifact, ...]:
    return read_catalogue(
        [
            artifact("both", release=release(), build=build("both")),
            artifact("released", release=release()),
            artifact("built", build=build("built"), groups=["test"]),
            artifact("chart", kind="chart", files=[], build={"chart": "chart"}),
        ]
    )


def test_each_artifact_comes_the_way_that_was_asked_or_the_one_it_has(catalogue: tuple[Artifact, ...]) -> None:
    targets = choose(catalogue, Wish(way="build", groups=("site", "test")))
    assert [(target.artifact.name, target.way, target.note) for target in targets] == [
        ("both", "build", ""),
        ("released", "release", "it has only its release way"),
        ("built", "build", ""),
        ("chart", "build", ""),
    ]


def test_groups_architectures_and_exceptions_decide_what_is_taken(catalogue: tuple[Artifact, ...]) -> None:
    targets = choose(catalogue, Wish(architectures=("amd64", "arm64"), without=("released",)))
    assert [target.label for target in targets] == ["both 1 (amd64)", "both 1 (arm64)", "chart 1"]


def test_paths_in_the_bundle_tell_architecture_name_and_version(catalogue: tuple[Artifact, ...]) -> None:
    targets = choose(catalogue, Wish(architectures=("arm64",)))
    assert [target.path_of(target.artifact.files[0]) for target in targets] == [
        "arm64/bin/both/1/both",
        "arm64/bin/released/1/released",
        "charts/chart-1.tgz",
    ]


@pytest.mark.parametrize(
    ("wish", "complaint"),
    [
        (Wish(without=("botch",)), "bundle_without names 'botch', which does not exist. Known are: both, built"),
        (Wish(groups=("sites",)), "bundle_groups names 'sites'"),
        (Wish(architectures=("x86",)), "bundle_architectures names 'x86'"),
    ],
)
def test_a_misspelt_name_is_refused(catalogue: tuple[Artifact, ...], wish: Wish, complaint: str) -> None:
    with pytest.raises(BundleError, match=complaint):
        choose(catalogue, wish)


def test_all_artifacts_without_a_pin_are_named_at_once() -> None:
    catalogue = read_catalogue([artifact(name, release=release(amd64=None), build=build(name)) for name in ("a", "b")])
    with pytest.raises(BundleError, match=r"pinned in artifacts.yml for a 1 \(amd64\), b 1 \(amd64\).*--tags lock"):
        choose(catalogue, Wish())
    assert choose(catalogue, Wish(architectures=("arm64",)))
    assert choose(catalogue, Wish(way="build"))


def test_an_architecture_that_the_upstream_does_not_serve_is_refused_by_name() -> None:
    only = {"url": {"amd64": "https://example.org/x"}, "sha256": {"amd64": PIN}}
    catalogue = read_catalogue([artifact("x", release=only)])
    with pytest.raises(BundleError, match="x 1 cannot be had for arm64"):
        choose(catalogue, Wish(architectures=("arm64",)))
