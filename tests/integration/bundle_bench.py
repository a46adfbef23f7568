# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A bundle of a test's own: its catalogue, cache and folder, and the playbook as an operator starts it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.hosts.paths import cache_root
from tests.playbook import ROOT, Run, run_playbook

COMPILER_CACHE = cache_root() / "go"
PLAYBOOK = "playbooks/bundle.yml"
# The servers of the tests are on this machine; a proxy of the place would not find them.
DIRECT = {"no_proxy": "127.0.0.1", "NO_PROXY": "127.0.0.1"}


def released(name: str, url: str, sha256: str | None, **release: Any) -> dict[str, Any]:
    """An entry for one file of an upstream."""
    return {
        "name": name,
        "version": "1.0",
        "licence": "MIT",
        "origin": "https://example.org",
        "kind": "binaries",
        "groups": ["site"],
        "files": [name],
        "release": {"url": url, "sha256": {"amd64": sha256}, **release},
    }


@contextmanager
def bundle_bench(root: Path, compiler_cache: Path | None = None) -> Iterator[BundleBench]:
    """A bench below an empty folder, which is gone at the end: its caches are large.

    Compiling the standard library takes a minute; whoever does not test that lends the compiler's cache.
    """
    bench = BundleBench(root)
    if compiler_cache:
        compiler_cache.mkdir(parents=True, exist_ok=True)
        bench.cache.mkdir()
        (bench.cache / "go").symlink_to(compiler_cache)
    try:
        yield bench
    finally:
        shutil.rmtree(root)


class BundleBench:
    """Everything below one folder, so that nothing is left behind."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.bundle = root / "bundle"
        self.cache = root / "cache"
        self.files = root / "files"
        self.catalogue = self.files / "artifacts.yml"
        self.files.mkdir(parents=True)

    def write(self, *entries: dict[str, Any]) -> None:
        text = yaml.safe_dump({"bundle_artifacts": list(entries)}, sort_keys=False)
        self.catalogue.write_text(f"---\n# Kept.\n{text}", encoding="utf-8")

    def variables(self, more: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "bundle_path": str(self.bundle),
            "bundle_cache_path": str(self.cache),
            "bundle_files_path": str(self.files),
            "bundle_download_timeout": 3,
            **more,
        }

    def run(self, cmdline: str = "", **more: Any) -> Run:
        return run_playbook(PLAYBOOK, extravars=self.variables(more), cmdline=cmdline, environment=DIRECT)

    @contextmanager
    def started(self, log: Path, **more: Any) -> Iterator[subprocess.Popen[bytes]]:
        """The playbook as a process of its own, which a test may kill; it is gone at the end in any case."""
        given = yaml.safe_dump(self.variables(more))
        variables = self.root / f"{log.stem}.yml"
        variables.write_text(given, encoding="utf-8")
        command = [str(Path(sys.executable).with_name("ansible-playbook")), PLAYBOOK, "-e", f"@{variables}"]
        with log.open("wb") as out:
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env={**os.environ, **DIRECT},
            )
        try:
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def tree(self) -> dict[str, bytes]:
        return {
            path.relative_to(self.bundle).as_posix(): path.read_bytes()
            for path in sorted(self.bundle.rglob("*"))
            if path.is_file()
        }
