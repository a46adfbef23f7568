# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The real cosign, and a registry that forgets all when it ends, both built from what cosign's own module pins."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dev.paths import CACHE

MODULE, VERSION = "github.com/sigstore/cosign/v2", "v2.6.5"
# Of the module with its go.sum, so it pins all that is compiled.
SUM = "h1:D7kFSWS2HzfD+LpEuBO89D1KfOAODlkWuuhzXS8yzi0="
COSIGN = f"{MODULE}/cmd/cosign"
REGISTRY = "github.com/google/go-containerregistry/cmd/registry"


def built(package: str) -> Path:
    """The program, which is compiled once; cosign takes ten minutes of a processor."""
    program = CACHE / "tools" / f"{package.rpartition('/')[2]}-of-cosign-{VERSION}"
    if not program.is_file():
        told = json.loads(_go(["mod", "download", "-json", f"{MODULE}@{VERSION}"], Path("/")))
        assert told["Sum"] == SUM, f"{MODULE} {VERSION} is another than the one that was pinned: {told['Sum']}"
        program.parent.mkdir(parents=True, exist_ok=True)
        part = program.with_suffix(".part")
        _go(["build", "-mod=readonly", "-trimpath", "-ldflags=-s -w", "-o", str(part), package], Path(told["Dir"]))
        part.rename(program)
    return program


def _go(arguments: list[str], folder: Path) -> str:
    # The sums are pinned here and there, so nobody else is asked about them.
    settings = {**os.environ, "GOSUMDB": "off", "GOFLAGS": "", "GOTOOLCHAIN": "local"}
    done = subprocess.run(["go", *arguments], cwd=folder, env=settings, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def cosign(*arguments: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """One command of it, with no settings but those in `folder`."""
    settings = {"PATH": os.defpath, "HOME": str(folder)}
    command = [str(built(COSIGN)), *(str(word) for word in arguments)]
    return subprocess.run(command, cwd=folder, env=settings, capture_output=True, text=True, timeout=120, check=False)


@contextmanager
def registry() -> Iterator[str]:
    """Its address; it keeps what it is given in memory."""
    with subprocess.Popen([str(built(REGISTRY)), "-port=0"], stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            lines = iter(process.stderr.readline, "")
            port = next(found.group(1) for line in lines if (found := re.search(r"port (\d+)", line)))
            yield f"localhost:{port}"
        finally:
            process.terminate()
