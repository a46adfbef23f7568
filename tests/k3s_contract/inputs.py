# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a person gives to the contract tests: the binary, its images, an older one. All by the environment."""

from __future__ import annotations

import os
import platform
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.hosts.paths import cache_root

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
ETCD_VERSION = "3.6.*"
SERVE = "serve :8080"


class InputError(Exception):
    """Something that must be set before the contract tests can say anything; the message is the whole sentence."""


@dataclass(frozen=True)
class Release:
    """One k3s binary and the air-gap images that belong to it."""

    binary: Path
    images: tuple[Path, ...]


@dataclass(frozen=True)
class Inputs:
    """All files that the tests bring to the hosts."""

    release: Release
    older: Release | None
    test_image: Path
    test_arguments: tuple[str, ...]
    etcd: Path
    tier: str
    existing_set: str | None


def read_inputs(environment: Mapping[str, str] = os.environ) -> Inputs:
    """Read and check the environment, or say what to set."""
    architecture = ARCHITECTURES[platform.machine()]
    bundle = cache_root() / "bundle" / architecture
    binary = environment.get("K3S_BINARY", "")
    if not binary:
        raise InputError(
            "K3S_BINARY is not set, so there is no k3s to ask: run K3S_BINARY=/path/k3s pytest tests/k3s_contract."
        )
    older = environment.get("K3S_BINARY_OLDER", "")
    image = environment.get("K3S_TEST_IMAGE", "") or str(_newest(bundle, "images/probe-*.tar", "K3S_TEST_IMAGE"))
    return Inputs(
        release=_release("K3S_BINARY", binary, environment.get("K3S_AIRGAP_IMAGES", ""), architecture),
        older=_release("K3S_BINARY_OLDER", older, environment.get("K3S_AIRGAP_IMAGES_OLDER", ""), architecture)
        if older
        else None,
        test_image=_file("K3S_TEST_IMAGE", image),
        test_arguments=tuple(shlex.split(environment.get("K3S_TEST_ARGUMENTS", SERVE))),
        etcd=_newest(bundle, f"bin/etcd/{ETCD_VERSION}/etcd", "HOLDFAST_CACHE").parent,
        tier=environment.get("K3S_CONTRACT_TIER", "container"),
        existing_set=environment.get("K3S_CONTRACT_SET") or None,
    )


def _release(name: str, binary: str, images: str, architecture: str) -> Release:
    program = _file(name, binary)
    found = [_file("K3S_AIRGAP_IMAGES", path) for path in images.split(":") if path] or sorted(
        program.parent.glob(f"k3s-airgap-images-{architecture}.tar*")
    )[:1]
    if not found:
        raise InputError(
            f"{program} has no air-gap images beside it (k3s-airgap-images-{architecture}.tar*), and the hosts have no "
            "registry: put the release's archive there, or name it in K3S_AIRGAP_IMAGES."
        )
    return Release(program, tuple(found))


def _file(name: str, path: str) -> Path:
    found = Path(path).expanduser().resolve()
    if not found.is_file():
        raise InputError(f"{name} is {path}, and there is no such file.")
    return found


def _newest(bundle: Path, pattern: str, name: str) -> Path:
    found = sorted(bundle.glob(pattern))
    if not found:
        raise InputError(f"{bundle}/{pattern} is not there: run `make bundle` first, or set {name}.")
    return found[-1]
