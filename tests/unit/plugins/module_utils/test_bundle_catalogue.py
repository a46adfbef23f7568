# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""artifacts.yml is checked entry by entry, and a mistake is named by its entry and field."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.catalogue import fill, read_catalogue
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.errors import CatalogueError

ROOT = Path(__file__).resolve().parents[4]
PIN = "a" * 64
TOOL: dict[str, Any] = {
    "name": "tool",
    "version": "1.2.3",
    "licence": "MIT",
    "origin": "https://example.org/tool",
    "kind": "binaries",
    "groups": ["site"],
    "files": ["tool", "toolctl"],
    "release": {
        "url": "https://example.org/{version}/tool-{arch}.tar.gz",
        "member": {"tool": "tool-{arch}/tool", "toolctl": "tool-{arch}/toolctl"},
        "sha256": {"amd64": PIN, "arm64": None},
    },
    "build": {"go": "tool", "packages": {"tool": "example.org/tool", "toolctl": "example.org/tool/ctl"}},
}
IMAGE: dict[str, Any] = {
    "name": "web",
    "version": "2",
    "licence": "MIT",
    "origin": "https://example.org/web",
    "kind": "image",
    "groups": ["test"],
    "image": {
        "reference": "registry.example.org/web:{version}",
        "entrypoint": ["/web"],
        "files": {"/web": "web"},
        "user": "1:1",
    },
    "build": {"go": "web", "packages": {"web": "."}},
}


def change(entry: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    changed = copy.deepcopy(entry)
    *folders, last = path.split(".")
    place = changed
    for folder in folders:
        place = place[folder]
    place[last] = value
    return changed


def test_a_good_entry_becomes_facts() -> None:
    (tool, web) = read_catalogue([TOOL, IMAGE])
    assert (tool.label, tool.ways(), tool.files) == ("tool 1.2.3", ("release", "build"), ("tool", "toolctl"))
    assert tool.release is not None
    assert tool.release.sha256 == {"amd64": PIN, "arm64": None}
    assert web.image is not None
    assert (web.image.reference, web.files) == ("registry.example.org/web:2", ("web",))


def test_the_catalogue_of_this_collection_is_good() -> None:
    text = (ROOT / "roles/bundle/files/artifacts.yml").read_text(encoding="utf-8")
    artifacts = read_catalogue(yaml.safe_load(text)["bundle_artifacts"])
    assert {"k3s", "etcd", "helm", "coredns", "kubernetes"} <= {artifact.name for artifact in artifacts}


@pytest.mark.parametrize(
    ("entry", "path", "value", "complaint"),
    [
        (TOOL, "name", "../tool", "entry 1: name is '../tool'"),
        (TOOL, "version", 1.2, r"entry 1 \(tool\): version must be a text"),
        (TOOL, "licence", None, "licence is missing"),
        (TOOL, "kind", "programs", "kind is 'programs', but must be one of"),
        (TOOL, "groups", ["sites"], "groups may name only site, test"),
        (TOOL, "groups", None, "groups is missing; an empty list makes it a part of others only"),
        (TOOL, "files", ["tool", "tool"], "files names the same file twice"),
        (TOOL, "files", ["a/b"], "files is 'a/b'"),
        (TOOL, "realease", {}, "realease is not a field that is known here"),
        (TOOL, "release.url", "ftp://example.org/tool", "release.url must be an http"),
        (TOOL, "release.url", {"amd46": "https://example.org/tool"}, "release.url must be an http"),
        (TOOL, "release.sha256.amd64", "A" * 64, "release.sha256.amd64 must be 64 hexadecimal digits"),
        (TOOL, "release.sha256.amd64", PIN[1:], "release.sha256.amd64 must be 64 hexadecimal digits"),
        (TOOL, "release.sha256", {}, "release.sha256 must map one or more of amd64, arm64"),
        (TOOL, "release.sha256", {"x86": None}, "release.sha256 must map one or more of amd64, arm64"),
        (TOOL, "release.member", {"tool": "x"}, "release.member must name exactly the files"),
        (TOOL, "build.packages", {"tool": "x"}, "build.packages must name exactly the files"),
        (TOOL, "build.packages", {"tool": "-x", "toolctl": "y"}, "build.packages must map file names to import paths"),
        (TOOL, "build.go", "../../etc", "build.go is '../../etc'"),
        (TOOL, "build.cgo", True, "build.cgo must be false"),
        (TOOL, "build.tag", ["x"], "build.tag is not a field"),
        (TOOL, "build", {"make": "x"}, "build must have one of go, debian, chart, compose, images"),
        (IMAGE, "image.reference", "Web", "image.reference is 'Web'"),
        (IMAGE, "image.files", {"/../web": "web"}, "image.files has '/../web'"),
        (IMAGE, "image.entrypoint", [], "image needs an entrypoint, and either files or a root"),
        (IMAGE, "build", {"chart": "web"}, "build cannot make a thing of kind image with chart"),
    ],
)
def test_a_mistake_is_named_by_entry_and_field(entry: dict[str, Any], path: str, value: object, complaint: str) -> None:
    with pytest.raises(CatalogueError, match=complaint) as raised:
        read_catalogue([change(entry, path, value)])
    assert str(raised.value).startswith("artifacts.yml, entry 1")


def test_an_artifact_needs_a_way_to_get_it() -> None:
    entry = {key: value for key, value in TOOL.items() if key not in ("release", "build")}
    with pytest.raises(CatalogueError, match=r"tool 1\.2\.3\): release and build are both missing"):
        read_catalogue([entry])


def test_the_same_name_and_version_twice_is_refused() -> None:
    with pytest.raises(CatalogueError, match=r"entry 2 \(tool 1\.2\.3\): entry 1 is the same"):
        read_catalogue([TOOL, TOOL])


@pytest.mark.parametrize("wrong", [None, "text", 5, {"a": "b"}])
def test_something_else_than_a_list_is_refused(wrong: object) -> None:
    with pytest.raises(CatalogueError, match="must be a list"):
        read_catalogue(wrong)


def test_a_plus_is_written_for_addresses_where_it_stands_in_one() -> None:
    assert fill("v{version}/{arch}", "1.2+k3s1", "amd64", in_url=True) == "v1.2%2Bk3s1/amd64"
    assert fill("v{version}/{arch}", "1.2+k3s1", "amd64") == "v1.2+k3s1/amd64"
