# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The image of the inference service as bundle.yml makes it, and the folders that its server is given."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

import httpx

from dev.paths import CACHE, ROOT
from tests.inference.gateway.real_nodes import free_port
from tests.playbook import run_playbook

IMAGE = "amd64/images/inference-0.1.0.tar"
SERVER = "holdfast_inference.server"
CONFIG, MODEL = "/etc/holdfast", "/models/shop"


class Runs(Protocol):
    """Whatever runs the image's entry point to its end."""

    def run(self, command: Sequence[str], mounts: Mapping[Path, str]) -> subprocess.CompletedProcess[str]: ...


def build_archive(folder: Path) -> Path:
    """Made by the playbook, from the cache that the demo fills too."""
    (folder / "none.yml").write_text("---\nbundle_artifacts: []\n", encoding="utf-8")
    wishes = {
        "bundle_path": str(folder / "bundle"),
        "bundle_cache_path": str(CACHE),
        "bundle_way": "build",
        "bundle_groups": ["test"],
        "bundle_catalogue_path": str(folder / "none.yml"),
        "bundle_more_catalogues": [str(ROOT / "inference/artifacts.yml")],
    }
    run = run_playbook("playbooks/bundle.yml", extravars=wishes)
    assert run.rc == 0, run.failures
    return folder / "bundle" / IMAGE


class Pod:
    """The folders of a server: its settings, and one where it may write its socket."""

    def __init__(self, image: Runs, model: Path, folder: Path) -> None:
        self.port = free_port()
        self.folder = folder
        run_folder = folder / "run"
        run_folder.mkdir()
        os.chown(run_folder, 65532, 65532)
        settings = folder / "etc"
        settings.mkdir()
        made = image.run([SERVER, "key", "shop"], {})
        assert made.returncode == 0, made.stderr
        self.key, line = (told.partition(": ")[2] for told in made.stdout.splitlines()[-2:])
        (settings / "keys").write_text(line + "\n", encoding="utf-8")
        (settings / "inference.toml").write_text(
            f'port = {self.port}\nadmin_socket = "/run/holdfast/admin.sock"\n[models]\nshop = "{MODEL}"\n'
            f'[engine]\nthreads = 1\n[access]\nkeys_file = "{CONFIG}/keys"\n',
            encoding="utf-8",
        )
        self.mounts = {settings: CONFIG, run_folder: "/run/holdfast", model: MODEL}

    def answers(self, path: str) -> bool:
        with contextlib.suppress(httpx.HTTPError):
            return httpx.get(f"http://127.0.0.1:{self.port}{path}").status_code == 200
        return False

    def ready(self) -> bool:
        return self.answers("/health/ready")

    def ask(self, port: int, key: str) -> httpx.Response:
        body = {"model": "shop", "prompt": "The lamp is in", "max_tokens": 8, "temperature": 0}
        url = f"http://127.0.0.1:{port}/v1/completions"
        return httpx.post(url, json=body, headers={"Authorization": f"Bearer {key}"}, timeout=30)
