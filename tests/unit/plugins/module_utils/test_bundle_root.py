# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A root file system of packages, wheels and files: the same bytes each time, and nothing that was not named."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import tarfile
import threading
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.holdfast.edge.plugins.module_utils._bundle import debian, image, root, sbom, wheels
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.catalogue import Artifact, read_catalogue
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.catalogue_builds import RootBuild
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.errors import BundleError, CatalogueError

ENTRY: dict[str, Any] = {
    "name": "service",
    "version": "1",
    "licence": "MIT",
    "origin": "https://example.org/service",
    "kind": "image",
    "groups": ["test"],
    "image": {
        "reference": "registry.example.org/service:{version}",
        "entrypoint": ["/usr/bin/tool"],
        "root": "root.tar",
        "user": "1:1",
    },
    "build": {
        "root": {
            "debian": ["tool"],
            "wheels": "lock.txt",
            "python": "3.11",
            "copies": {"own": "opt/own"},
            "without": ["usr/share/man", "**/*.pyi"],
        }
    },
}


class Made:
    """A catalogue's folder, a real Debian package, and a wheel in the place of the registry."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.wheels = [self.wheel("thing", {"thing/__init__.py": "x = 1\n", "thing/__init__.pyi": "x: int\n"})]
        (folder / "own").mkdir()
        (folder / "own/settings").write_text("a = 1\n", encoding="utf-8")
        (folder / "lock.txt").write_text("thing==1\n", encoding="utf-8")
        self.package = self._package()
        monkeypatch.setattr(wheels, "run_quietly", self._pip)
        monkeypatch.setattr(debian, "run_quietly", self._apt)
        monkeypatch.setattr(root, "_compile", lambda *_: None)
        monkeypatch.setattr("platform.machine", lambda: "x86_64")

    def artifact(self, **changes: Any) -> Artifact:
        build = {"root": ENTRY["build"]["root"] | changes}
        return read_catalogue([ENTRY | {"build": build}], "more.yml", self.folder)[0]

    def make(self, name: str, artifact: Artifact | None = None) -> Path:
        artifact = artifact or self.artifact()
        assert isinstance(artifact.build, RootBuild)
        to = self.folder / name
        to.mkdir()
        return root.make(artifact, artifact.build, [self.package], "amd64", "key", to, threading.Event())

    def wheel(self, name: str, files: dict[str, str]) -> Path:
        path = self.folder / f"{name}-1-py3-none-any.whl"
        with zipfile.ZipFile(path, "w") as archive:
            for member, text in files.items():
                archive.writestr(member, text)
            archive.writestr(f"{name}-1.dist-info/METADATA", f"Name: {name}\nVersion: 1\nLicense-Expression: MIT\n")
        return path

    def _package(self) -> debian.Package:
        tree = self.folder / "package"
        for path, text in (
            ("DEBIAN/control", "Package: tool\nVersion: 1-2\nArchitecture: amd64\nMaintainer: x\nDescription: x\n"),
            ("usr/bin/tool", "#!/bin/sh\n"),
            ("usr/share/man/tool.1", "how\n"),
            ("DEBIAN/postinst", "#!/bin/sh\nexit 1\n"),
        ):
            (tree / path).parent.mkdir(parents=True, exist_ok=True)
            (tree / path).write_text(text, encoding="utf-8")
        (tree / "usr/bin/tool").chmod(0o4755)
        (tree / "DEBIAN/postinst").chmod(0o755)
        (tree / "usr/bin/other").symlink_to("tool")
        self.deb = self.folder / "tool.deb"
        subprocess.run(["dpkg-deb", "--build", str(tree), str(self.deb)], check=True, capture_output=True)
        content = self.deb.read_bytes()
        return debian.Package("tool", "1-2", "amd64", hashlib.sha256(content).hexdigest(), len(content))

    def _apt(self, _command: Sequence[str], directory: Path) -> str:
        shutil.copy(self.deb, directory)
        return ""

    def _pip(self, command: Sequence[str]) -> str:
        for path in self.wheels:
            shutil.copy(path, command[command.index("--dest") + 1])
        return ""


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Made:
    return Made(tmp_path, monkeypatch)


def members(path: Path) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(path) as archive:
        return {info.name: info for info in archive}


def test_the_same_parts_give_the_same_bytes(made: Made) -> None:
    assert made.make("one").read_bytes() == made.make("two").read_bytes()


def test_packages_wheels_and_own_files_are_there_and_nothing_that_was_left_out(made: Made) -> None:
    found = members(made.make("one"))
    assert {name for name, info in found.items() if not info.isdir()} == {
        "usr/bin/tool",
        "usr/bin/other",
        "opt/own/settings",
        "usr/local/lib/python3.11/dist-packages/thing/__init__.py",
        "usr/local/lib/python3.11/dist-packages/thing-1.dist-info/METADATA",
        "usr/share/sbom/service.spdx.json",
    }
    assert found["usr/bin/other"].linkname == "tool"


def test_nothing_runs_as_its_owner_and_nothing_belongs_to_the_builder(made: Made) -> None:
    found = members(made.make("one"))
    assert found["usr/bin/tool"].mode == 0o755
    assert {(info.uid, info.gid, info.mtime, info.uname) for info in found.values()} == {(0, 0, 0, "")}


def test_a_root_file_system_is_the_layer_of_its_image_byte_for_byte(made: Made) -> None:
    layer = made.make("one")
    artifact = made.artifact()
    assert artifact.image is not None
    archive = image.make(artifact, artifact.image, "amd64", {"root.tar": layer}, made.folder)
    digest = hashlib.sha256(layer.read_bytes()).hexdigest()
    with tarfile.open(archive) as whole:
        stream = whole.extractfile(f"blobs/sha256/{digest}")
        assert stream is not None and stream.read() == layer.read_bytes()


def test_what_decides_the_bytes_decides_the_key(made: Made) -> None:
    def facts(artifact: Artifact) -> dict[str, Any]:
        assert isinstance(artifact.build, RootBuild)
        return root.recipe_facts(artifact, artifact.build, [made.package], "amd64")

    first = facts(made.artifact())
    (made.folder / "own/settings").write_text("a = 2\n", encoding="utf-8")
    second = facts(made.artifact())
    (made.folder / "lock.txt").write_text("thing==2\n", encoding="utf-8")
    third = facts(made.artifact())
    assert len({json.dumps(item, sort_keys=True) for item in (first, second, third)}) == 3
    assert facts(made.artifact(without=["usr/share/man"])) != third


def test_a_pattern_that_finds_nothing_is_a_mistake(made: Made) -> None:
    with pytest.raises(BundleError, match=r"more\.yml, service 1: .* has usr/share/none, and there is nothing"):
        made.make("one", made.artifact(without=["usr/share/man", "usr/share/none"]))


def test_another_architecture_is_refused_before_anything_is_fetched(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platform.machine", lambda: "aarch64")
    with pytest.raises(BundleError, match="does not run on this machine"):
        made.make("one")


def test_a_package_that_is_not_what_the_index_says_is_refused(made: Made) -> None:
    made.deb.write_bytes(made.deb.read_bytes() + b"x")
    with pytest.raises(BundleError, match="but apt's index says"):
        made.make("one")


def test_a_wheel_that_leads_outside_is_refused(made: Made) -> None:
    made.wheels = [made.wheel("evil", {"../../evil.py": "x"})]
    with pytest.raises(BundleError, match="leads outside"):
        made.make("one")


def test_two_wheels_never_share_a_file(made: Made) -> None:
    made.wheels += [made.wheel("twin", {"thing/__init__.py": "x = 2\n"})]
    with pytest.raises(BundleError, match="which another wheel has too"):
        made.make("one")


def test_programs_and_data_of_a_wheel_stay_out_and_its_modules_do_not(made: Made) -> None:
    made.wheels += [made.wheel("more", {"more-1.data/purelib/more.py": "", "more-1.data/scripts/more": "#!/bin/sh\n"})]
    found = [Path(name).name for name in members(made.make("one"))]
    assert "more.py" in found
    assert "more" not in found


def test_the_list_of_parts_names_each_with_its_digest() -> None:
    artifact = Artifact("service", "1", "MIT", "https://example.org/service", "image", ("test",), ("root.tar",))
    package = debian.Package("libstdc++6", "12.2.0-14", "amd64", "a" * 64, 1)
    wheel = wheels.Wheel("Some_Thing", "2.0", "BSD-3-Clause", "b" * 64)
    document = json.loads(sbom.render(artifact, [package], [wheel], "key"))
    parts = {part["name"]: part for part in document["packages"]}
    assert set(parts) == {"service", "libstdc++6", "Some_Thing"}
    assert parts["libstdc++6"]["checksums"] == [{"algorithm": "SHA256", "checksumValue": "a" * 64}]
    assert parts["Some_Thing"]["licenseDeclared"] == "BSD-3-Clause"
    assert [part["externalRefs"][0]["referenceLocator"] for part in (parts["libstdc++6"], parts["Some_Thing"])] == [
        "pkg:deb/debian/libstdc%2B%2B6@12.2.0-14?arch=amd64",
        "pkg:pypi/some-thing@2.0",
    ]
    contained = {item["relatedSpdxElement"] for item in document["relationships"]}
    assert contained == {part["SPDXID"] for part in document["packages"]}


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("wheels", "../lock.txt", "relative paths"),
        ("copies", {"own": "/etc"}, "relative paths"),
        ("python", "3", "a Python such as"),
        ("debian", [], "needs packages"),
        ("strange", "x", "is not a field"),
    ],
)
def test_a_mistake_is_named(path: str, value: object, said: str) -> None:
    build = {"root": ENTRY["build"]["root"] | {path: value}}
    with pytest.raises(CatalogueError, match=said):
        read_catalogue([ENTRY | {"build": build}])


def test_an_image_has_files_or_a_root_and_never_both() -> None:
    both = ENTRY["image"] | {"files": {"/web": "web"}}
    with pytest.raises(CatalogueError, match="either files or a root"):
        read_catalogue([ENTRY | {"image": both}])
