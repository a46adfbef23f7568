# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Puts the stand-in together from what a bundle holds already and a launcher that was built by hand.

Only dev-assemble.sh uses this, with the collections on Python's path. The work itself is the bundle's, which does the
same in a whole run.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path

import yaml
from ansible_collections.holdfast.edge.plugins.module_utils._bundle import compose, image
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.catalogue import read_catalogue
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.catalogue_builds import ComposeBuild, Part
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.catalogues import combine, index
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.errors import BundleError

HERE = Path(__file__).resolve().parent
CATALOGUES = (HERE.parent.parent / "roles/bundle/files/artifacts.yml", HERE / "artifacts.yml")


def find(part: Part, bundles: Sequence[Path], architecture: str) -> Path:
    """The first bundle that has the part wins; a folder may hold loose programs too."""
    image_name = f"{architecture}/images/{part.name}-{part.version}.tar"
    for bundle in bundles:
        program = bundle / architecture / "bin" / part.name / part.version / part.file
        for path in (program, bundle / part.file) if part.file else (bundle / image_name,):
            if path.is_file():
                return path
    raise BundleError(f"{part.label} {part.file} is in none of {', '.join(map(str, bundles))}.")


def assemble(options: argparse.Namespace) -> None:
    """Write the stand-in, and the images' archive if one of them is newer."""
    files = [(path, yaml.safe_load(path.read_text(encoding="utf-8"))["bundle_artifacts"]) for path in CATALOGUES]
    known = index(combine([read_catalogue(entries, str(path), path.parent) for path, entries in files]))
    artifact = known.get(("k3s", options.version))
    if artifact is None or not isinstance(artifact.build, ComposeBuild):
        raise BundleError(f"{CATALOGUES[1]} has no k3s {options.version}.")
    build, architecture = artifact.build, options.architecture
    images = [find(part, options.bundle, architecture) for part in build.images]
    members = {path: find(part, options.bundle, architecture) for path, part in build.members.items()}
    named = {part.name: known[part.name, part.version].image for part in build.images}
    references = {name: found.reference for name, found in named.items() if found}
    # In the target's own folder, so that each file takes its place in one step.
    with tempfile.TemporaryDirectory(dir=options.to, prefix=".assemble-") as folder:
        made = compose.make(artifact, build, options.launcher, members, references, Path(folder), threading.Event())
        made.chmod(0o755)
        made.replace(options.to / "k3s")
        archive = options.to / f"k3s-airgap-images-{architecture}.tar"
        if not archive.exists() or any(path.stat().st_mtime > archive.stat().st_mtime for path in images):
            image.merge(images, Path(folder)).replace(archive)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--version", required=True, help="of the entry, as in 1.36.4+k3s1")
    parser.add_argument("--architecture", default="amd64")
    parser.add_argument("--bundle", type=Path, action="append", required=True, help="a bundle, or a folder of files")
    parser.add_argument("--launcher", type=Path, required=True, help="the built launcher")
    parser.add_argument("--to", type=Path, required=True, help="the folder for k3s and k3s-airgap-images-ARCH.tar")
    options = parser.parse_args(arguments)
    options.to.mkdir(parents=True, exist_ok=True)
    try:
        assemble(options)
    except BundleError as error:
        print(f"assemble: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
