# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Judges our own Go: gofmt, go vet and go test for each module that has code of ours."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from dev.paths import BUNDLE, CACHE, ROOT

MODULES = ("tests/k3s", "inference/build/engine-metrics")
FORMATTED = (*MODULES, "roles/bundle/files/build")
# Those of the bundle's builds, so that what they compiled is not compiled again.
GO_FLAGS = "-mod=readonly -trimpath -buildvcs=false -modcacherw -gcflags=all=-dwarf=false"


def environment() -> dict[str, str]:
    """The caches that the bundle's builds use too, nothing fetched that go.sum does not know, and a real etcd."""
    (etcd,) = sorted(BUNDLE.glob("*/bin/etcd/3.6.*/etcd"))
    return {
        **os.environ,
        "CGO_ENABLED": "0",
        "GOCACHE": str(CACHE / "go/build"),
        "GOFLAGS": GO_FLAGS,
        "GOMODCACHE": str(CACHE / "go/mod"),
        "GOTOOLCHAIN": "local",
        "ETCD_BIN": str(etcd),
    }


def go_root() -> Path:
    done = subprocess.run(["go", "env", "GOROOT"], check=True, stdout=subprocess.PIPE, text=True)
    return Path(done.stdout.strip())


def main() -> int:
    if not (BUNDLE / "bundle.json").is_file():
        print(f"go: some tests run a real etcd, and there is no bundle at {BUNDLE}; run `make bundle` first")
        return 1
    folders = [str(ROOT / name) for name in FORMATTED]
    unformatted = subprocess.run(
        [str(go_root() / "bin/gofmt"), "-l", *folders], check=True, stdout=subprocess.PIPE, text=True
    ).stdout
    if unformatted:
        print(f"go: gofmt would change these:\n{unformatted}")
        return 1
    for module in MODULES:
        for verb in ("vet", "test"):
            done = subprocess.run(["go", verb, "./..."], cwd=ROOT / module, env=environment(), check=False)
            if done.returncode != 0:
                return done.returncode
    return 0


if __name__ == "__main__":
    sys.exit(main())
