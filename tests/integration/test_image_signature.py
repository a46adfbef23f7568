# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What bundle.yml signs, the real cosign believes, without the internet; and nothing else."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.bundle_bench import BundleBench, bundle_bench
from tests.integration.bundle_server import badly_behaved_server
from tests.integration.signing import PASSPHRASE, image_entry, make_key

from .cosign import cosign, registry

PRIVATE = "--private-infrastructure"


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two signers, of whom one signs."""
    folder = tmp_path_factory.mktemp("keys")
    make_key(folder, "bundle")
    make_key(folder, "stranger")
    return folder


@pytest.fixture(scope="module")
def signed(tmp_path_factory: pytest.TempPathFactory, keys: Path) -> Iterator[BundleBench]:
    with badly_behaved_server() as server, bundle_bench(tmp_path_factory.mktemp("signed") / "bench") as bench:
        url = server.url("good/file")
        bench.write(image_entry("web", url), image_entry("database", url))
        run = bench.run(bundle_signing_key=str(keys / "bundle.key"), bundle_signing_passphrase=PASSPHRASE)
        assert run.rc == 0, run.failures
        yield bench


@pytest.fixture
def layout(signed: BundleBench, tmp_path: Path) -> Path:
    """As docs/bundle.md unpacks it: the image, and over it what completes it."""
    folder = tmp_path / "image"
    for name in ("web-1.0.tar", "web-1.0.cosign.tar"):
        with tarfile.open(signed.bundle / "amd64/images" / name) as archive:
            archive.extractall(folder, filter="data")
    return folder


def index_of(layout: Path) -> dict[str, Any]:
    index: dict[str, Any] = json.loads((layout / "index.json").read_text(encoding="utf-8"))
    return index


def test_cosign_believes_the_image_and_its_name(layout: Path, keys: Path, tmp_path: Path) -> None:
    done = cosign("verify", "--key", keys / "bundle.pub", PRIVATE, "--local-image", layout, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    (told,) = json.loads(done.stdout)
    assert told["critical"]["image"]["docker-manifest-digest"] == index_of(layout)["manifests"][0]["digest"]
    assert told["critical"]["identity"]["docker-reference"] == "registry.example.org/web:1.0"


def test_cosign_does_not_believe_another_signer(layout: Path, keys: Path, tmp_path: Path) -> None:
    done = cosign("verify", "--key", keys / "stranger.pub", PRIVATE, "--local-image", layout, folder=tmp_path)
    assert done.returncode != 0 and "invalid signature" in done.stderr


def test_cosign_does_not_believe_another_image_with_this_signature(
    signed: BundleBench, layout: Path, keys: Path, tmp_path: Path
) -> None:
    index = index_of(layout)
    with tarfile.open(signed.bundle / "amd64/images/database-1.0.tar") as archive:
        archive.extractall(layout, filter="data")
    (other,) = index_of(layout)["manifests"]
    index["manifests"][0].update(digest=other["digest"], size=other["size"])
    (layout / "index.json").write_text(json.dumps(index), encoding="utf-8")
    done = cosign("verify", "--key", keys / "bundle.pub", PRIVATE, "--local-image", layout, folder=tmp_path)
    assert done.returncode != 0 and "invalid or missing digest in claim" in done.stderr


def test_the_image_goes_to_a_registry_with_its_signature(layout: Path, keys: Path, tmp_path: Path) -> None:
    with registry() as address:
        name = f"{address}/shop/web:1.0"
        sent = cosign("load", "--dir", layout, name, folder=tmp_path)
        assert sent.returncode == 0, sent.stderr
        done = cosign("verify", "--key", keys / "bundle.pub", PRIVATE, name, folder=tmp_path)
        assert done.returncode == 0, done.stderr
        assert index_of(layout)["manifests"][0]["digest"] in done.stdout
        assert cosign("verify", "--key", keys / "stranger.pub", PRIVATE, name, folder=tmp_path).returncode != 0


def test_cosign_judges_the_whole_bundle_too(signed: BundleBench, keys: Path, tmp_path: Path) -> None:
    signature = signed.bundle / "bundle.json.sig"
    command = ("verify-blob", "--key", keys / "bundle.pub", PRIVATE, "--signature", signature)
    done = cosign(*command, signed.bundle / "bundle.json", folder=tmp_path)
    assert done.returncode == 0 and "Verified OK" in done.stderr, done.stderr
    changed = tmp_path / "bundle.json"
    changed.write_bytes((signed.bundle / "bundle.json").read_bytes() + b" ")
    assert cosign(*command, changed, folder=tmp_path).returncode != 0
