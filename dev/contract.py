# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks a k3s what the contract says of it, or (`bench`) how fast it is: K3S_BINARY, or the stand-ins of the bundle.

`newest` asks the newest stand-in, with the one before it for upgrades; `before` asks the one before it alone.
"""

from __future__ import annotations

import os
import sys

from dev.paths import BUNDLE, ROOT

CONTRACT = "tests/k3s_contract"
WHICH = ("newest", "before")


def stand_ins(which: str = "newest") -> dict[str, str]:
    """The newest k3s of the bundle and the one before it, each with the images that belong to it."""
    binaries = sorted(BUNDLE.glob("*/bin/k3s/*/k3s"))
    if not binaries:
        raise SystemExit(f"contract: there is no k3s in {BUNDLE}; run `make bundle` first, or give K3S_BINARY")
    if which == "before":
        binaries = binaries[-2:-1]
    chosen: dict[str, str] = {}
    for suffix, binary in zip(("", "_OLDER"), reversed(binaries)):
        images = binary.parents[3] / "archives/k3s-airgap-images" / binary.parent.name / "k3s-airgap-images.tar"
        chosen |= {f"K3S_BINARY{suffix}": str(binary), f"K3S_AIRGAP_IMAGES{suffix}": str(images)}
    return chosen


def main() -> None:
    which, rest = "newest", sys.argv[1:]
    if rest[:1] and rest[0] in WHICH:
        which, rest = rest[0], rest[1:]
    environment = {**({} if os.environ.get("K3S_BINARY") else stand_ins(which)), **os.environ}
    os.chdir(ROOT)
    arguments = ["tests.bench.k3s", *rest[1:]] if rest[:1] == ["bench"] else ["pytest", CONTRACT, *rest]
    os.execve(sys.executable, [sys.executable, "-m", *arguments], environment)


if __name__ == "__main__":
    main()
