# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks a k3s what the contract says of it, or (`bench`) how fast it is: K3S_BINARY, or the stand-ins of the bundle."""

from __future__ import annotations

import os
import sys

from dev.paths import BUNDLE, ROOT


def stand_ins() -> dict[str, str]:
    """The newest k3s of the bundle and the one before it, each with the images that belong to it."""
    binaries = sorted(BUNDLE.glob("*/bin/k3s/*/k3s"))
    if not binaries:
        raise SystemExit(f"contract: there is no k3s in {BUNDLE}; run `make bundle` first, or give K3S_BINARY")
    chosen: dict[str, str] = {}
    for suffix, binary in zip(("", "_OLDER"), reversed(binaries)):
        images = binary.parents[3] / "archives/k3s-airgap-images" / binary.parent.name / "k3s-airgap-images.tar"
        chosen |= {f"K3S_BINARY{suffix}": str(binary), f"K3S_AIRGAP_IMAGES{suffix}": str(images)}
    return chosen


def main() -> None:
    environment = {**({} if os.environ.get("K3S_BINARY") else stand_ins()), **os.environ}
    os.chdir(ROOT)
    arguments = ["tests.bench.k3s", *sys.argv[2:]]
    if sys.argv[1:2] != ["bench"]:
        arguments = ["pytest", "tests/k3s_contract", *sys.argv[1:]]
    os.execve(sys.executable, [sys.executable, "-m", *arguments], environment)


if __name__ == "__main__":
    main()
