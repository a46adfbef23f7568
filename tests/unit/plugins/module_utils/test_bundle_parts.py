# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Artifacts made of others: parts come first, wished or not, and a changed part gives a new whole."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.catalogue import read_catalogue
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.catalogues import combine
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.errors import BundleError, CatalogueError
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.make import Outcome, check_bundle, make_bundle
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.plan import Wish, choose, with_parts
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.progress import Progress
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.store import Store
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.workshop import Workshop

# In the place of go: what it "compiles" is a shell script, so that the result can be started.
GO = """#!/bin/sh
if [ "$1" = env ]; then echo go1.26.0; exit; fi
while [ $# -gt 0 ]; do if [ "$1" = -o ]; then out=$2; fi; shift; done
basename "$PWD" >> "{log}"
cat main.go > "$out"
"""


def entry(name: str, kind: str, build: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "version": "1",
        "licence": "MIT",
        "origin": "https://example.org",
        "kind": kind,
        "groups": ["test"],
        "files": [name],
        "build": build,
        **more,
    }


def go(name: str) -> dict[str, Any]:
    return {"go": name, "packages": {name: "."}}


def image_of(name: str) -> dict[str, Any]:
    described = {
        "reference": f"registry.example.org/{name}:{{version}}",
        "entrypoint": [f"/{name}"],
        "files": {f"/{name}": name},
        "user": "1:1",
    }
    return entry(name, "image", go(name), image=described)


TOOL = entry("tool", "binaries", go("tool"), groups=["site"])
START = entry("start", "binaries", {"go": ".", "packages": {"start": "."}}, groups=[])
WEB, DATABASE = image_of("web"), image_of("database")
COMPOSE = {
    "program": "start 1 start",
    "members": {"bin/tool": "tool 1 tool", "bin/again/tool": "tool 1 tool"},
    "links": {"other": "tool"},
    "images": ["web 1"],
}
WHOLE = entry("whole", "binaries", {"compose": COMPOSE, "usual_seconds": 5})
IMAGES = entry("images", "archive", {"images": ["web 1", "database 1"]}, files=["images.tar"])
FIRST, SECOND = [TOOL, WEB, DATABASE], [START, WHOLE, IMAGES]
TEST = Wish(way="build", groups=("test",))


class Bench:
    """Two catalogues, each with recipes of its own, a cache, and a place for the bundle."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.bundle = root / "bundle"
        self.log = root / "log"
        self.go = root / "go"
        root.mkdir(exist_ok=True)
        self.go.write_text(GO.format(log=self.log), encoding="utf-8")
        self.go.chmod(0o755)
        for name in ("tool", "web", "database"):
            self.write(self.root / "first/build" / name, f"echo {name}")
        self.write(self.root / "second", "echo started")

    def write(self, folder: Path, text: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "go.mod").write_text("module x\n\ngo 1.26\n", encoding="utf-8")
        (folder / "main.go").write_text(f"#!/bin/sh\n{text}\nexit\n", encoding="utf-8")

    def catalogue(self) -> Any:
        return combine(
            [
                read_catalogue(FIRST, folder=self.root / "first"),
                read_catalogue(SECOND, "second.yml", self.root / "second"),
            ]
        )

    def workshop(self) -> Workshop:
        progress = Progress(self.root / "said")
        return Workshop(self.root / "cache", Store(self.root / "cache", progress), progress, go=str(self.go))

    def make(self, wish: Wish = TEST) -> Outcome:
        return make_bundle(self.bundle, self.catalogue(), wish, self.workshop(), wait=0)

    def built(self) -> list[str]:
        """Which recipes were built since this was asked the last time."""
        found = self.log.read_text(encoding="utf-8").split() if self.log.exists() else []
        self.log.unlink(missing_ok=True)
        return sorted(found)

    def files(self) -> list[str]:
        return sorted(path.relative_to(self.bundle).as_posix() for path in self.bundle.rglob("*") if path.is_file())


PROGRAM = "amd64/bin/whole/1/whole"
ARCHIVE = "amd64/archives/images/1/images.tar"


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def test_a_composed_program_starts_and_carries_its_members(bench: Bench) -> None:
    bench.make()
    program = bench.bundle / PROGRAM
    assert subprocess.run([program], stdout=subprocess.PIPE, text=True, check=True).stdout == "started\n"
    with zipfile.ZipFile(program) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["payload.json", "bin/again/tool", "bin/tool"]
        assert archive.read("bin/tool") == b"#!/bin/sh\necho tool\nexit\n"
        assert oct(archive.getinfo("bin/tool").external_attr >> 16) == "0o755"
        told = json.loads(archive.read("payload.json"))
    assert len(told.pop("hash")) == 64
    assert told == {
        "images": {"web": "registry.example.org/web:1"},
        "links": {"other": "tool"},
        "versions": {"tool": "1"},
    }


def test_parts_that_nobody_wished_are_made_but_not_put_into_the_bundle(bench: Bench) -> None:
    outcome = bench.make()
    assert bench.files() == [ARCHIVE, PROGRAM, *(f"amd64/images/{n}-1.tar" for n in ("database", "web")), "bundle.json"]
    assert bench.built() == ["database", "second", "tool", "web"]
    (whole,) = [item for item in outcome.entries if item.name == "whole"]
    assert whole.source == "made of start 1, tool 1, web 1"


def test_a_second_run_changes_nothing_and_another_machine_makes_the_same_bytes(bench: Bench, tmp_path: Path) -> None:
    bench.make()
    assert not bench.make().changed
    other = Bench(tmp_path / "other")
    other.make()
    for name in (PROGRAM, ARCHIVE):
        assert (other.bundle / name).read_bytes() == (bench.bundle / name).read_bytes()


def test_a_changed_part_gives_a_new_whole_and_nothing_else_is_made_again(bench: Bench) -> None:
    bench.make()
    bench.built()
    before = (bench.bundle / PROGRAM).read_bytes()
    bench.write(bench.root / "first/build/tool", "echo another")
    outcome = bench.make()
    assert [item["name"] for item in outcome.artifacts if item["changed"]] == ["whole"]
    assert bench.built() == ["tool"]
    assert (bench.bundle / PROGRAM).read_bytes() != before


def test_what_is_in_the_cache_as_a_whole_needs_no_parts(bench: Bench) -> None:
    bench.make()
    bench.built()
    tool = hashlib.sha256(b"#!/bin/sh\necho tool\nexit\n").hexdigest()
    bench.workshop().store.path_of(tool).unlink()
    shutil.rmtree(bench.bundle)
    assert bench.make().changed
    assert bench.built() == []


def test_a_part_that_was_damaged_with_its_whole_is_made_again(bench: Bench) -> None:
    bench.make()
    bench.built()
    good = (bench.bundle / PROGRAM).read_bytes()
    for path in (bench.root / "cache/store/sha256").rglob("*"):
        if path.is_file():
            path.write_bytes(b"rot")
    shutil.rmtree(bench.bundle)
    bench.make()
    assert bench.built() == ["database", "second", "tool", "web"]
    assert (bench.bundle / PROGRAM).read_bytes() == good


def test_a_part_that_cannot_be_made_is_named_and_the_old_bundle_stays(bench: Bench) -> None:
    bench.make()
    before = {name: (bench.bundle / name).read_bytes() for name in bench.files()}
    (bench.root / "first/build/tool/go.mod").unlink()
    with pytest.raises(BundleError, match=r"tool 1: .*has no go\.mod"):
        bench.make()
    assert {name: (bench.bundle / name).read_bytes() for name in bench.files()} == before


def test_check_mode_says_what_is_missing_and_makes_no_part(bench: Bench) -> None:
    outcome = check_bundle(bench.bundle, bench.catalogue(), TEST, bench.workshop())
    assert [item["name"] for item in outcome.missing] == ["web", "database", "whole", "images"]
    assert bench.built() == []


def test_what_lies_beside_the_programs_of_a_catalogue_does_not_decide_their_bytes(bench: Bench) -> None:
    bench.make()
    bench.built()
    for name in ("artifacts.yml", "README.md", "main_test.go", "build/other/main.go", "x/__pycache__/x.pyc"):
        (bench.root / "second" / name).parent.mkdir(parents=True, exist_ok=True)
        (bench.root / "second" / name).write_text("new", encoding="utf-8")
    assert not bench.make().changed
    (bench.root / "second/embedded.txt").write_text("new", encoding="utf-8")
    bench.make()
    assert bench.built() == ["second"]


def test_one_archive_holds_several_images_and_each_blob_once(bench: Bench) -> None:
    bench.make()
    with tarfile.open(bench.bundle / ARCHIVE) as archive:
        names = archive.getnames()
        members = {info.name: stream.read() for info in archive if (stream := archive.extractfile(info))}
    assert len(names) == len(set(names))
    references = ["registry.example.org/web:1", "registry.example.org/database:1"]
    described = json.loads(members["index.json"])["manifests"]
    assert [item["annotations"]["io.containerd.image.name"] for item in described] == references
    listed = json.loads(members["manifest.json"])
    assert [item["RepoTags"] for item in listed] == [[reference] for reference in references]
    for item in listed:
        assert {item["Config"], *item["Layers"]} <= set(members)
    for name, content in members.items():
        if name.startswith("blobs/"):
            assert name == f"blobs/sha256/{hashlib.sha256(content).hexdigest()}"


def test_parts_come_before_what_is_made_of_them(bench: Bench) -> None:
    targets = choose(bench.catalogue(), Wish(way="build", groups=("test",), without=("images",)))
    labels = [target.artifact.name for target in with_parts(targets)]
    assert labels.index("start") < labels.index("whole") > labels.index("tool")


def test_a_part_without_a_pin_is_named_before_anything_is_made() -> None:
    release = {"url": "https://example.org/x", "sha256": {"amd64": None}}
    tool = {key: value for key, value in TOOL.items() if key != "build"} | {"release": release}
    artifacts = combine([read_catalogue([tool, WEB, START, WHOLE])])
    with pytest.raises(BundleError, match=r"pinned in artifacts\.yml for tool 1 \(amd64\), so"):
        choose(artifacts, TEST)


def test_a_later_catalogue_takes_the_place_of_an_earlier_ones_entry() -> None:
    other = {**TOOL, "licence": "Apache-2.0"}
    new = {**TOOL, "version": "2"}
    found = combine([read_catalogue([TOOL, WEB]), read_catalogue([new, other], "own.yml", Path("/own"))])
    assert [(item.label, item.licence, item.catalogue) for item in found] == [
        ("tool 1", "Apache-2.0", "own.yml"),
        ("web 1", "MIT", "artifacts.yml"),
        ("tool 2", "MIT", "own.yml"),
    ]
    assert found[0].folder == Path("/own")


def compose(**changes: Any) -> dict[str, Any]:
    return {**WHOLE, "build": {"compose": {**COMPOSE, **changes}}}


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        (compose(program="start"), "compose.program is 'start', but wants 'artifact version file'"),
        (compose(members={}), "compose makes one file and needs one or more members"),
        (compose(members={"../x": "tool 1 tool"}), r"members has '\.\./x', but wants paths that stay"),
        (compose(members={"/x": "tool 1 tool"}), "members has '/x', but wants paths that stay"),
        (compose(members={"payload.json": "tool 1 tool"}), "members has 'payload.json'"),
        (compose(members={"x": "tool 1 ../tool"}), r"members\.x is 'tool 1 \.\./tool'"),
        (compose(images=["web"]), "images has 'web', but wants 'image version'"),
        (compose(images=["web 1", "web 1"]), "images names web twice"),
        (compose(link={}), "build.compose.link is not a field"),
        ({**IMAGES, "kind": "binaries"}, "build cannot make a thing of kind binaries with images"),
        ({**IMAGES, "build": {"images": ["web 1"], "chart": "x"}}, "build must have one of go"),
    ],
)
def test_a_mistake_in_one_entry_is_named(wrong: dict[str, Any], complaint: str) -> None:
    with pytest.raises(CatalogueError, match=complaint) as raised:
        read_catalogue([wrong], "own.yml")
    assert str(raised.value).startswith("own.yml, entry 1 (")


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        (compose(program="stop 1 stop"), "compose.program names stop 1, which no catalogue of this run has"),
        (compose(members={"x": "tool 2 tool"}), "has; of tool there is 1"),
        (compose(members={"x": "tool 1 ctl"}), "names the file ctl of tool 1, which has tool"),
        (compose(members={"x": "web 1 web"}), "names the file web of web 1, which has one file, being of kind image"),
        (compose(images=["tool 1"]), "names tool 1, which is no image"),
        (compose(program="whole 1 whole"), r"would be made of itself \(whole 1 of whole 1\)"),
    ],
)
def test_a_part_that_is_not_there_is_named_with_the_entry_that_wants_it(wrong: dict[str, Any], complaint: str) -> None:
    with pytest.raises(CatalogueError, match=complaint) as raised:
        combine([read_catalogue(FIRST), read_catalogue([START, wrong], "own.yml")])
    assert str(raised.value).startswith("own.yml, whole 1: ")
