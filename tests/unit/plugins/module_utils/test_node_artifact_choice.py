# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of the bundle is wanted, and what of it the node lacks."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.manifest import Entry
from ansible_collections.holdfast.edge.plugins.module_utils._node_artifact.choice import (
    Plan,
    Wish,
    check_room,
    choose,
    judge,
)
from ansible_collections.holdfast.edge.plugins.module_utils._node_artifact.errors import ArtifactError

MIB = 1 << 20
LINKS = {"/usr/local/bin/demo": "demo"}
LEADS = "/usr/local/lib/holdfast/demo/current/demo"


def entry(version: str, file: str = "demo", arch: str = "amd64", digest: str = "a", kind: str = "binaries") -> Entry:
    return Entry(
        path=f"{arch}/bin/demo/{version}/{file}",
        name="demo",
        version=version,
        kind=kind,
        arch=arch,
        way="build",
        size=10 * MIB,
        sha256=digest * 64,
        licence="",
        origin="",
        source="",
    )


BUNDLE = [
    entry("1.9.0", digest="9"),
    entry("1.10.0"),
    entry("1.10.0", "helper", digest="b"),
    entry("2.0.0", arch="arm64"),
]


def file(digest: str, runs: bool = True, came_as: str = "") -> dict[str, Any]:
    return {"sha256": digest * 64, "came_as": (came_as or digest) * 64, "runs": runs}


def node(**seen: Any) -> dict[str, Any]:
    return {
        "machine": "x86_64",
        "current": "",
        "previous": "",
        "versions": {},
        "dest_sha256": "",
        "links": dict.fromkeys(LINKS, ""),
        "free_bytes": 1000 * MIB,
        "incoming": "/usr/local/lib/holdfast/demo/.holdfast-incoming",
        **seen,
    }


INSTALLED = node(
    current="1.10.0",
    previous="1.9.0",
    versions={"1.10.0": {"demo": file("a"), "helper": file("b")}, "1.9.0": {"demo": file("9")}},
    links={"/usr/local/bin/demo": LEADS},
)


def plan(seen: dict[str, Any], entries: list[Entry] | None = None, **wish: Any) -> Plan:
    return choose(Wish(name="demo", **wish), BUNDLE if entries is None else entries, seen, "node-1")


def test_a_blank_node_gets_the_newest_of_its_architecture() -> None:
    found = plan(node(), links=LINKS)
    assert (found.version, sorted(found.copy), found.activate, dict(found.links)) == (
        "1.10.0",
        ["demo", "helper"],
        True,
        LINKS,
    )
    assert plan(node(machine="aarch64")).version == "2.0.0"


def test_a_node_that_has_it_all_is_left_alone() -> None:
    assert not plan(INSTALLED, links=LINKS).changed


def test_only_the_file_that_differs_is_copied() -> None:
    versions = {"1.10.0": {"demo": file("a"), "helper": file("c", came_as="b")}}
    found = plan({**INSTALLED, "versions": versions})
    assert (sorted(found.copy), found.activate) == (["helper"], False)


def test_files_that_were_not_asked_for_are_not_copied() -> None:
    assert sorted(plan(node(), files=("helper",)).copy) == ["helper"]


def test_a_mode_that_drifted_is_mended_without_a_copy() -> None:
    versions = {"1.10.0": {"demo": file("a", runs=False), "helper": file("b")}}
    found = plan({**INSTALLED, "versions": versions})
    assert (dict(found.copy), found.mend) == ({}, ("demo",))


def test_without_activation_a_version_only_waits() -> None:
    found = plan(INSTALLED, version="1.9.0", activate=False)
    assert not found.changed


def test_a_rollback_needs_no_bundle() -> None:
    found = plan(INSTALLED, entries=[], version="1.9.0")
    assert (dict(found.copy), found.activate, found.version) == ({}, True, "1.9.0")


def test_a_rollback_to_a_damaged_version_without_a_bundle_is_refused() -> None:
    seen = {**INSTALLED, "versions": {"1.9.0": {"demo": file("0", came_as="9")}}}
    with pytest.raises(
        ArtifactError, match=r"node-1: demo of demo 1.9.0 is not what once was installed.*Nothing was changed"
    ):
        plan(seen, entries=[], version="1.9.0")
    assert sorted(plan(seen, version="1.9.0").copy) == ["demo"]


@pytest.mark.parametrize(("entries", "version"), [(BUNDLE, "3.0.0"), ([], ""), ([], "1.8.0")])
def test_a_version_that_is_nowhere_is_refused_with_what_there_is(entries: list[Entry], version: str) -> None:
    with pytest.raises(ArtifactError, match=r"neither in the bundle \(.*\) nor on the node \(1.10.0, 1.9.0\)"):
        plan(INSTALLED, entries=entries, version=version)


def test_a_file_that_the_version_lacks_is_named() -> None:
    with pytest.raises(ArtifactError, match=r"demo 1.9.0 has no file helper; it has demo. Nothing was changed"):
        plan(node(), version="1.9.0", files=("helper",))
    with pytest.raises(ArtifactError, match="has no file missing"):
        plan(node(), links={"/usr/local/bin/demo": "missing"})


def test_a_file_of_another_hand_is_not_replaced_by_a_link() -> None:
    with pytest.raises(ArtifactError, match=r"/usr/local/bin/demo is a file that Holdfast did not put there"):
        plan(node(links={"/usr/local/bin/demo": "!"}), links=LINKS)


def test_a_link_that_leads_elsewhere_is_replaced() -> None:
    found = plan({**INSTALLED, "links": {"/usr/local/bin/demo": "/opt/other"}}, links=LINKS)
    assert (found.links, found.activate) == (LINKS, False)


def test_a_single_file_goes_to_its_path_once() -> None:
    images = [entry("1.0.0", "images.tar", digest="d", kind="archive")]
    first = plan(node(), entries=images, dest="/var/lib/images/all.tar")
    assert (list(first.copy), first.activate) == (["all.tar"], False)
    assert not plan(node(dest_sha256="d" * 64), entries=images, dest="/var/lib/images/all.tar").changed


def test_one_path_takes_one_file() -> None:
    with pytest.raises(ArtifactError, match=r"has 2 files to choose from \(demo, helper\)"):
        plan(node(), dest="/var/lib/demo")
    assert list(plan(node(), dest="/var/lib/demo", files=("helper",)).copy) == ["demo"]


def test_too_little_room_is_said_with_numbers() -> None:
    found = plan(node())
    check_room(found, node(free_bytes=36 * MIB), "node-1")
    with pytest.raises(ArtifactError) as refused:
        check_room(found, node(free_bytes=35 * MIB), "node-1")
    message = str(refused.value)
    assert "node-1: demo and helper need 20.0 MiB at /usr/local/lib/holdfast/demo, and 35.0 MiB are free" in message
    assert "Nothing was copied" in message


@pytest.mark.parametrize(
    "wish",
    [
        Wish("../etc"),
        Wish("demo", version="a/b"),
        Wish("demo", version="current"),
        Wish("demo", files=("../../x",)),
        Wish("demo", links={"/usr/local/bin/x": "a/b"}),
        Wish("demo", links={"usr/bin/x": "x"}),
        Wish("demo", links={"/usr/../x": "x"}),
        Wish("demo", dest="images.tar"),
        Wish("demo", dest="/var/lib/"),
        Wish("demo", dest="/var/x", links=LINKS),
    ],
)
def test_a_name_or_path_that_leads_elsewhere_is_refused(wish: Wish) -> None:
    with pytest.raises(ArtifactError, match="Nothing was changed"):
        judge(wish)
