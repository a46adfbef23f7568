# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Images, charts and archives: the same input gives the same bytes, and only what was asked for comes out."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.holdfast.edge.plugins.module_utils._bundle import chart, image
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.catalogue import Artifact, Image
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.errors import BundleError
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.extract import take_members

WEB = Image("registry.example.org/web:2", ("/bin/web",), ("serve",), {"/bin/web": "web"}, "1:1", {"A": "b"})
ARTIFACT = Artifact("web", "2", "MIT", "https://example.org/web", "image", ("test",), ("web",), image=WEB)
CHART = Artifact("shop", "0.1.0", "MIT", "https://example.org/shop", "chart", ("site",), ("shop-0.1.0.tgz",))


def make_image(folder: Path, architecture: str = "amd64") -> Path:
    folder.mkdir()
    (folder / "web").write_bytes(b"program")
    return image.make(ARTIFACT, WEB, architecture, {"web": folder / "web"}, folder)


def read(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as archive:
        return {info.name: stream.read() for info in archive if (stream := archive.extractfile(info))}


def test_an_image_is_the_same_bytes_each_time(tmp_path: Path) -> None:
    assert make_image(tmp_path / "one").read_bytes() == make_image(tmp_path / "two").read_bytes()
    assert make_image(tmp_path / "arm", "arm64").read_bytes() != (tmp_path / "one/image.tar").read_bytes()


def test_every_blob_has_the_digest_that_its_name_and_its_descriptors_say(tmp_path: Path) -> None:
    members = read(make_image(tmp_path / "one"))
    for name, content in members.items():
        if name.startswith("blobs/"):
            assert name == f"blobs/sha256/{hashlib.sha256(content).hexdigest()}"
    (described,) = json.loads(members["index.json"])["manifests"]

    def blob(descriptor: dict[str, Any]) -> bytes:
        content = members["blobs/" + descriptor["digest"].replace(":", "/")]
        assert len(content) == descriptor["size"]
        return content

    manifest = json.loads(blob(described))
    config = json.loads(blob(manifest["config"]))
    (layer,) = [blob(item) for item in manifest["layers"]]
    assert config["rootfs"]["diff_ids"] == [f"sha256:{hashlib.sha256(layer).hexdigest()}"]
    assert config["config"]["Entrypoint"] == ["/bin/web"]
    assert config["config"]["User"] == "1:1"
    assert "A=b" in config["config"]["Env"]
    assert described["annotations"]["io.containerd.image.name"] == "registry.example.org/web:2"


def test_docker_finds_the_same_blobs_by_its_own_manifest(tmp_path: Path) -> None:
    members = read(make_image(tmp_path / "one"))
    (listed,) = json.loads(members["manifest.json"])
    assert listed["RepoTags"] == ["registry.example.org/web:2"]
    assert {listed["Config"], *listed["Layers"]} <= set(members)


def test_the_layer_holds_the_programs_and_the_folders_above_them(tmp_path: Path) -> None:
    members = read(make_image(tmp_path / "one"))
    layer = members[json.loads(members["manifest.json"])[0]["Layers"][0]]
    with tarfile.open(fileobj=io.BytesIO(layer)) as archive:
        assert [(info.name, oct(info.mode), info.uid, info.mtime) for info in archive] == [
            ("bin", "0o755", 0, 0),
            ("bin/web", "0o755", 0, 0),
        ]


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    (tmp_path / "shop/templates").mkdir(parents=True)
    (tmp_path / "shop/Chart.yaml").write_text("apiVersion: v2\nname: shop\nversion: 0.1.0  # first\n", encoding="utf-8")
    (tmp_path / "shop/templates/a.yaml").write_text("a: 1\n", encoding="utf-8")
    return tmp_path / "shop"


def test_a_chart_is_packed_to_the_same_bytes_whatever_the_dates(shop: Path, tmp_path: Path) -> None:
    first = chart.make(CHART, shop, tmp_path).read_bytes()
    (shop / "Chart.yaml").touch()
    (shop / "templates/a.yaml").chmod(0o600)
    assert chart.make(CHART, shop, tmp_path).read_bytes() == first
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(first))) as archive:
        assert archive.getnames() == ["shop/Chart.yaml", "shop/templates/a.yaml"]


def test_a_chart_of_another_version_than_the_catalogue_says_is_refused(shop: Path) -> None:
    (shop / "Chart.yaml").write_text("name: shop\nversion: 0.2.0\n", encoding="utf-8")
    with pytest.raises(BundleError, match=r"says version 0\.2\.0, but artifacts\.yml says 0\.1\.0"):
        chart.recipe_facts(CHART, shop)


def test_a_chart_with_a_link_is_refused(shop: Path) -> None:
    (shop / "templates/b.yaml").symlink_to("/etc/passwd")
    with pytest.raises(BundleError, match=r"b\.yaml is a link"):
        chart.recipe_facts(CHART, shop)


def test_a_chart_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match=r"shop 0\.1\.0: .*nowhere/Chart\.yaml is missing"):
        chart.recipe_facts(CHART, tmp_path / "nowhere")


def archive_of(path: Path, *members: tuple[str, bytes, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, content, kind in members:
            info = tarfile.TarInfo(name)
            info.type, info.size, info.linkname = kind, len(content), "/etc/passwd"
            archive.addfile(info, io.BytesIO(content))
    return path


FILE = tarfile.REGTYPE


def test_only_the_wanted_member_is_taken_and_under_our_name(tmp_path: Path) -> None:
    source = archive_of(tmp_path / "a.tar.gz", ("x/../../evil", b"evil", FILE), ("./x/tool", b"tool", FILE))
    (tmp_path / "to").mkdir()
    taken = take_members({"tool": "x/tool"}, tmp_path / "to", "tool 1", path=source)
    assert taken["tool"].read_bytes() == b"tool"
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a.tar.gz", "to", "tool"]


@pytest.mark.parametrize(
    ("members", "complaint"),
    [
        ([("x/tool", b"", tarfile.SYMTYPE)], "tool 1: x/tool is a link"),
        ([("x/tool", b"", tarfile.LNKTYPE)], "tool 1: x/tool is a link"),
        ([("x/tool", b"1", FILE), ("./x/tool", b"2", FILE)], "tool 1: ./x/tool is in the archive twice"),
        ([("y/tool", b"1", FILE)], "tool 1: the archive has no member x/tool"),
    ],
)
def test_a_member_that_is_not_what_was_asked_for_is_refused(
    tmp_path: Path, members: list[tuple[str, bytes, bytes]], complaint: str
) -> None:
    source = archive_of(tmp_path / "a.tar.gz", *members)
    with pytest.raises(BundleError, match=complaint):
        take_members({"tool": "x/tool"}, tmp_path, "tool 1", path=source)


@pytest.mark.parametrize("keep", [0, 5, 40])
def test_an_archive_that_is_cut_or_no_archive_is_refused(tmp_path: Path, keep: int) -> None:
    source = archive_of(tmp_path / "a.tar.gz", ("x/tool", bytes(range(256)) * 99, FILE))
    source.write_bytes(source.read_bytes()[:keep])
    with pytest.raises(BundleError, match="tool 1: the archive cannot be read"):
        take_members({"tool": "x/tool"}, tmp_path, "tool 1", path=source)
