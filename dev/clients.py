# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients of the inference service that people have, and schemathesis, each set locked, in an environment of its own.

They ask for far more than everything else here, and some for other versions of it; so a check that needs them makes
the environment in the cache when it is not there. `python -m dev.clients old-client [ARGUMENT …]` runs the check list
of the API with the old client in place of the new one.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from dev.paths import CACHE, ROOT

CHECK_LIST = "tests/inference/server/test_checklist_*.py"
OLD = "old-client"


class ClientsError(Exception):
    """Why there is no environment, with what to do about it."""


def environment(name: str) -> Path:
    """The environment of `dev/<name>-requirements.txt`, made when it is not there."""
    lock = ROOT / "dev" / f"{name}-requirements.txt"
    key = hashlib.sha256(lock.read_bytes() + sys.version.encode()).hexdigest()[:16]
    folder = CACHE / f"venv-{name}-{key}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        if not (folder / ".whole").exists():
            _make(folder, lock)
    return folder


def python_of(name: str) -> Path:
    """The interpreter of that environment."""
    return environment(name) / "bin" / "python"


def packages_of(name: str) -> Path:
    """The folder with the packages of that environment."""
    return next(environment(name).glob("lib/python*/site-packages"))


def _make(folder: Path, lock: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    uv = str(Path(sys.executable).with_name("uv"))
    install = (uv, "pip", "install", "--quiet", "--no-cache", "--require-hashes", "--only-binary", ":all:")
    for command in (
        (uv, "venv", "--quiet", "--python", sys.executable, str(folder)),
        (*install, "--requirement", str(lock), "--python", str(folder / "bin" / "python")),
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ClientsError(
                f"The packages of {lock.name} could not be installed into {folder}: {done.stderr.strip()}\n"
                "Check that the Python package registry is reachable, then run this again."
            )
    (folder / ".whole").touch()


def main() -> None:
    if sys.argv[1:2] != [OLD]:
        raise SystemExit(f"clients: give {OLD}, and arguments for pytest.")
    try:
        packages = str(packages_of(OLD))
    except ClientsError as error:
        raise SystemExit(f"clients: {error}") from None
    # First on the path: these packages stand before those of the same name in the environment of the tests.
    path = os.pathsep.join(filter(None, (packages, os.environ.get("PYTHONPATH", ""))))
    files = sorted(str(found.relative_to(ROOT)) for found in ROOT.glob(CHECK_LIST))
    os.chdir(ROOT)
    told = [sys.executable, "-m", "pytest", *files, *sys.argv[2:]]
    os.execve(sys.executable, told, os.environ | {"PYTHONPATH": path})


if __name__ == "__main__":
    main()
