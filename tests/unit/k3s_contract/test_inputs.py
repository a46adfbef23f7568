# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the contract tests are given, and what they say when it is not enough."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.k3s_contract.inputs import InputError, read_inputs


@pytest.fixture
def given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A cache with etcd, a test image, and a binary without anything beside it."""
    monkeypatch.setattr("tests.k3s_contract.inputs.ARCHITECTURES", dict.fromkeys(("x86_64", "aarch64"), "amd64"))
    etcd = tmp_path / "bundle/amd64/bin/etcd/3.6.14/etcd"
    for path in (etcd, tmp_path / "k3s", tmp_path / "image.tar"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    monkeypatch.setenv("HOLDFAST_CACHE", str(tmp_path))
    return {"K3S_BINARY": str(tmp_path / "k3s"), "K3S_TEST_IMAGE": str(tmp_path / "image.tar")}


def test_without_a_binary_the_sentence_says_what_to_run() -> None:
    with pytest.raises(InputError, match=r"K3S_BINARY is not set.*K3S_BINARY=/path/k3s pytest tests/k3s_contract"):
        read_inputs({})


def test_a_binary_that_is_not_there_is_named(given: dict[str, str]) -> None:
    with pytest.raises(InputError, match="K3S_BINARY is /no/k3s, and there is no such file"):
        read_inputs({**given, "K3S_BINARY": "/no/k3s"})


def test_a_binary_without_images_beside_it_is_refused(given: dict[str, str]) -> None:
    with pytest.raises(InputError, match="has no air-gap images beside it"):
        read_inputs(given)


def test_images_beside_the_binary_are_found_whatever_their_compression(given: dict[str, str], tmp_path: Path) -> None:
    archive = tmp_path / "k3s-airgap-images-amd64.tar.zst"
    archive.touch()
    assert read_inputs(given).release.images == (archive,)


def test_images_may_be_named(given: dict[str, str]) -> None:
    found = read_inputs({**given, "K3S_AIRGAP_IMAGES": f"{given['K3S_TEST_IMAGE']}:{given['K3S_BINARY']}"})
    assert [path.name for path in found.release.images] == ["image.tar", "k3s"]
    assert found.older is None


def test_an_older_binary_has_images_of_its_own(given: dict[str, str], tmp_path: Path) -> None:
    older = tmp_path / "older/k3s"
    older.parent.mkdir()
    older.touch()
    (tmp_path / "older/k3s-airgap-images-amd64.tar").touch()
    images = given["K3S_TEST_IMAGE"]
    found = read_inputs({**given, "K3S_AIRGAP_IMAGES": images, "K3S_BINARY_OLDER": str(older)})
    assert found.older is not None
    assert found.older.images == (tmp_path / "older/k3s-airgap-images-amd64.tar",)
