# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A packed bundle comes out whole or not at all, and whatever does not belong is refused by name."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.archive import Carried, pack, unpack
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.errors import BundleError
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.manifest import Entry, render
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.progress import Progress

FILES = {"amd64/bin/tool/1/tool": b"tool" * 5000, "charts/chart-1.tgz": b"chart"}
Members = list[tuple[tarfile.TarInfo, bytes]]


def entry(path: str, content: bytes) -> Entry:
    kind = "binaries" if "/bin/" in path else "chart"
    digest = hashlib.sha256(content).hexdigest()
    return Entry(
        path, "tool", "1", kind, "amd64", "build", len(content), digest, "MIT", "https://example.org", "build/x"
    )


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    bundle = tmp_path / "bundle"
    for path, content in FILES.items():
        (bundle / path).parent.mkdir(parents=True)
        (bundle / path).write_bytes(content)
    (bundle / "bundle.json").write_text(render(entry(*item) for item in FILES.items()), encoding="utf-8")
    return bundle


@pytest.fixture
def packed(bundle: Path, tmp_path: Path) -> Path:
    pack(bundle, tmp_path / "bundle.tar", Progress(), False, threading.Event())
    return tmp_path / "bundle.tar"


def carry(archive: Path, to: Path, expected: str = "", dry: bool = False) -> Carried:
    return unpack(archive, to, expected, Progress(), dry, threading.Event())


def member(name: str, content: bytes = b"", kind: bytes = tarfile.REGTYPE) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, len(content)
    return info, content


def rewrite(archive: Path, change: Callable[[Members], Members]) -> None:
    """Write the archive anew with its members changed."""
    with tarfile.open(archive) as tar:
        members = [(info, stream.read() if (stream := tar.extractfile(info)) else b"") for info in tar]
    with tarfile.open(archive, "w") as tar:
        for info, content in change(members):
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


def test_what_is_packed_comes_out_the_same(packed: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert carry(packed, out).changed
    assert {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("*") if path.is_file()} == {
        **FILES,
        "bundle.json": (tmp_path / "bundle/bundle.json").read_bytes(),
    }
    assert (out / "amd64/bin/tool/1/tool").stat().st_mode & 0o111
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        ".bundle.lock",
        ".out.lock",
        "bundle",
        "bundle.tar",
        "out",
    ]


def test_a_second_time_changes_nothing(bundle: Path, packed: Path, tmp_path: Path) -> None:
    before = packed.stat().st_mtime_ns
    assert not pack(bundle, packed, Progress(), False, threading.Event()).changed
    assert packed.stat().st_mtime_ns == before
    assert carry(packed, tmp_path / "out").changed
    assert not carry(packed, tmp_path / "out").changed


def test_what_a_killed_packing_left_is_cleared_by_the_next(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / ".bundle.tar.x1.part").write_bytes(b"half")
    pack(bundle, tmp_path / "bundle.tar", Progress(), False, threading.Event())
    assert not list(tmp_path.glob("*.part"))
    assert not list(tmp_path.glob(".*.part"))


def test_check_mode_writes_nothing_and_still_verifies(bundle: Path, packed: Path, tmp_path: Path) -> None:
    assert pack(bundle, tmp_path / "other.tar", Progress(), True, threading.Event()).changed
    assert not (tmp_path / "other.tar").exists()
    assert carry(packed, tmp_path / "out", dry=True).changed
    assert not (tmp_path / "out").exists()
    rewrite(packed, lambda members: members[:-1])
    with pytest.raises(BundleError, match="is missing from the archive"):
        carry(packed, tmp_path / "out", dry=True)


def test_packing_twice_gives_the_same_bytes(bundle: Path, packed: Path, tmp_path: Path) -> None:
    pack(bundle, tmp_path / "again.tar", Progress(), False, threading.Event())
    assert (tmp_path / "again.tar").read_bytes() == packed.read_bytes()


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda m: [m[0], (m[1][0], b"t00l" * 5000), *m[2:]], "amd64/bin/tool/1/tool has sha256 .* was expected"),
        (lambda m: [m[0], (m[1][0], b"short"), *m[2:]], "amd64/bin/tool/1/tool has 5 bytes where 20000 were expected"),
        (lambda m: m[:-1], "charts/chart-1.tgz is missing from the archive"),
        (lambda m: [*m, member("extra", b"x")], "extra is not in bundle.json"),
        (lambda m: [*m, m[1]], "amd64/bin/tool/1/tool is not in bundle.json, or is there twice"),
        (lambda m: [*m, member("../../evil", b"x")], r"\.\./\.\./evil is not in bundle.json"),
        (lambda m: [*m, member("/etc/evil", b"x")], "/etc/evil is not in bundle.json"),
        (lambda m: [*m[:-1], member(m[-1][0].name, b"", tarfile.SYMTYPE)], "charts/chart-1.tgz is a link or a special"),
        (lambda m: [*m[:-1], member(m[-1][0].name, b"", tarfile.LNKTYPE)], "charts/chart-1.tgz is a link or a special"),
        (
            lambda m: [*m[:-1], member(m[-1][0].name, b"", tarfile.FIFOTYPE)],
            "charts/chart-1.tgz is a link or a special",
        ),
        (lambda m: m[1:], "does not begin with bundle.json"),
        (lambda m: [], "does not begin with bundle.json"),
    ],
)
def test_whatever_does_not_belong_is_refused_and_the_old_bundle_stays(
    packed: Path, bundle: Path, tmp_path: Path, change: Callable[[Members], Members], complaint: str
) -> None:
    out = tmp_path / "out"
    carry(packed, out)
    (out / "amd64/bin/tool/1/tool").write_bytes(b"mine")
    rewrite(packed, change)
    with pytest.raises(BundleError, match=complaint):
        carry(packed, out)
    assert (out / "amd64/bin/tool/1/tool").read_bytes() == b"mine"
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".out.new")]


@pytest.mark.parametrize("path", ["../evil", "/etc/evil", "a/../../evil", "bundle.json", "a//b", "", "a\\b", 5])
def test_a_manifest_that_names_a_path_outside_is_refused(packed: Path, tmp_path: Path, path: object) -> None:
    def change(members: Members) -> Members:
        data = json.loads(members[0][1])
        data["files"][0]["path"] = path
        return [(members[0][0], json.dumps(data).encode()), *members[1:]]

    rewrite(packed, change)
    with pytest.raises(BundleError, match="leads outside the bundle"):
        carry(packed, tmp_path / "out")


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"schema": 1}', '{"schema": 9, "files": []}', '{"schema":1,"files":[{}]}']
)
def test_a_manifest_that_cannot_be_read_is_refused(packed: Path, tmp_path: Path, text: str) -> None:
    rewrite(packed, lambda members: [(members[0][0], text.encode()), *members[1:]])
    with pytest.raises(BundleError, match=r"cannot be read as a bundle's manifest|has layout 9"):
        carry(packed, tmp_path / "out")


@pytest.mark.parametrize("keep", [0, 100, 700, 15_000, -11_000])
def test_a_tar_that_was_cut_short_is_refused(packed: Path, tmp_path: Path, keep: int) -> None:
    packed.write_bytes(packed.read_bytes()[:keep])
    with pytest.raises(BundleError, match=r"nothing was unpacked|Nothing was unpacked"):
        carry(packed, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_another_bundle_than_the_promised_one_is_refused(packed: Path, tmp_path: Path) -> None:
    good = carry(packed, tmp_path / "out").manifest_sha256
    assert not carry(packed, tmp_path / "out", expected=good.upper()).changed
    with pytest.raises(BundleError, match=f"has sha256 {good}, but {'0' * 64} was promised"):
        carry(packed, tmp_path / "out", expected="0" * 64)


def test_a_damaged_bundle_is_not_packed(bundle: Path, tmp_path: Path) -> None:
    (bundle / "charts/chart-1.tgz").write_bytes(b"chars")
    (bundle / "stranger").write_bytes(b"")
    (bundle / "amd64/bin/tool/1/tool").unlink()
    with pytest.raises(BundleError) as raised:
        pack(bundle, tmp_path / "bundle.tar", Progress(), False, threading.Event())
    for name in ("amd64/bin/tool/1/tool is missing", "charts/chart-1.tgz has sha256", "stranger is not in bundle.json"):
        assert name in str(raised.value)
    assert not (tmp_path / "bundle.tar").exists()


def test_a_folder_that_is_no_bundle_is_never_replaced(packed: Path, tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home/letters").write_text("dear", encoding="utf-8")
    with pytest.raises(BundleError, match="is not a bundle and nothing was changed"):
        carry(packed, tmp_path / "home")
    assert (tmp_path / "home/letters").read_text(encoding="utf-8") == "dear"
