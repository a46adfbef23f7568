# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys as docs/bundle.md has an operator make them, and an image that can be signed."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from ansible_collections.holdfast.edge.plugins.module_utils._bundle.files import link_or_copy

from dev.paths import BUNDLE
from tests.integration.bundle_bench import released
from tests.integration.bundle_server import SHA256

PASSPHRASE = "of-the-signer-alone"


def make_key(folder: Path, name: str = "bundle", passphrase: str = PASSPHRASE) -> tuple[Path, Path]:
    """The private and the public key."""
    private, public = folder / f"{name}.key", folder / f"{name}.pub"
    curve = ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]
    environment = {**os.environ, "HOLDFAST_SIGNING_PASSPHRASE": passphrase}
    for command in (
        ["genpkey", *curve, "-aes256", "-pass", "env:HOLDFAST_SIGNING_PASSPHRASE", "-out", str(private)],
        ["pkey", "-in", str(private), "-passin", "env:HOLDFAST_SIGNING_PASSPHRASE", "-pubout", "-out", str(public)],
    ):
        subprocess.run(["openssl", *command], check=True, capture_output=True, env=environment)
    return private, public


def signed_bundle(folder: Path) -> tuple[Path, Path]:
    """The bundle of this machine once more, signed as by a device that keeps its key; and the public key."""
    signed = folder / "bundle"
    shutil.copytree(BUNDLE, signed, copy_function=lambda source, target: link_or_copy(Path(source), Path(target)))
    private, public = make_key(folder)
    made = subprocess.run(
        ["openssl", "dgst", "-sha256", "-sign", private, "-passin", f"pass:{PASSPHRASE}", signed / "bundle.json"],
        check=True,
        capture_output=True,
    ).stdout
    (signed / "bundle.json.sig").write_bytes(base64.b64encode(made))
    return signed, public


def image_entry(name: str, url: str) -> dict[str, Any]:
    """An image of the one file that the test server has."""
    described = {
        "reference": f"registry.example.org/{name}:{{version}}",
        "entrypoint": ["/file"],
        "files": {"/file": name},
        "user": "1:1",
    }
    return {**released(name, url, SHA256), "kind": "image", "image": described}
