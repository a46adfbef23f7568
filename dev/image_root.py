# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The root file system of one image of a catalogue, without Ansible: what inference/Dockerfile runs.

`python3 image_root.py CATALOGUE NAME TARGET.tar`, with the collection's parent in PYTHONPATH, on the image's own
architecture.
"""

from __future__ import annotations

import platform
import shutil
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path

import yaml
from ansible_collections.holdfast.edge.plugins.module_utils._bundle import debian, root
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.catalogue import read_catalogue
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.catalogue_builds import RootBuild
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.errors import BundleError
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.files import key_of, sha256_of


def write(catalogue: Path, name: str, target: Path) -> None:
    """Make the tar; the same bytes as the bundle's layer where apt's index is the same."""
    entries = yaml.safe_load(catalogue.read_text(encoding="utf-8"))["bundle_artifacts"]
    found = [item for item in read_catalogue(entries, str(catalogue), catalogue.resolve().parent) if item.name == name]
    if not found or not isinstance(found[0].build, RootBuild):
        raise BundleError(f"{catalogue} has no image {name} with a root file system.")
    artifact, build = found[0], found[0].build
    machines = {machine: architecture for architecture, (machine, *_) in root.LOADERS.items()}
    architecture = machines[platform.machine()]
    packages = debian.find_packages(artifact, build.packages, architecture)
    key = key_of(root.recipe_facts(artifact, build, packages, architecture))
    with tempfile.TemporaryDirectory() as work:
        made = root.make(artifact, build, packages, architecture, key, Path(work), threading.Event())
        shutil.copyfile(made, target)
    print(f"{target}: {target.stat().st_size} bytes, sha256 {sha256_of(target)}")


def main(arguments: Sequence[str]) -> int:
    catalogue, name, target = arguments
    try:
        write(Path(catalogue), name, Path(target))
    except BundleError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
