# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files of a bundle a node of some version needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from .errors import K3sError
from .paths import IMAGES
from .versions import Version

ARCHIVE = "k3s-airgap-images"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def wanted(entries: Iterable[Mapping[str, Any]], version: str, extra: Iterable[str]) -> dict[str, dict[str, Any]]:
    """For each architecture: the version of k3s, and the archives that belong into its folder of images."""
    known = list(entries)
    result = {}
    for architecture in sorted({str(entry["arch"]) for entry in known if entry["name"] == "k3s"}):
        of_it = [entry for entry in known if entry["arch"] in (architecture, "all")]
        chosen = _version(of_it, version)
        result[architecture] = {"version": chosen, "images": _images(of_it, chosen, extra)}
    if not result:
        raise K3sError("the bundle has no k3s; make one with it, or set bundle_path to another bundle")
    return result


def _version(entries: Iterable[Mapping[str, Any]], version: str) -> str:
    there = sorted((str(entry["version"]) for entry in entries if entry["name"] == "k3s"), key=Version.parse)
    asked = version.lstrip("v")
    if asked and asked not in there:
        raise K3sError(
            f"k3s {asked} is not in the bundle, which has {', '.join(there)}; set k3s_version to one of them"
        )
    return asked or there[-1]


def _images(entries: Iterable[Mapping[str, Any]], version: str, extra: Iterable[str]) -> list[dict[str, Any]]:
    known = list(entries)
    found = [entry for entry in known if entry["name"] == ARCHIVE and entry["version"] == version]
    for name in extra:
        images = [entry for entry in known if entry["name"] == name and entry["kind"] in ("image", "archive")]
        if not images:
            raise K3sError(
                f"the bundle has no image {name}, which k3s_node_images names; make the bundle with the catalogue that "
                "has it (bundle_more_catalogues, docs/bundle.md)"
            )
        # Names and versions of other projects follow no one order, so the manifest's last is the newest.
        found.append(images[-1])
    return [_image(entry) for entry in found]


def _image(entry: Mapping[str, Any]) -> dict[str, Any]:
    name, digest = str(entry["name"]), str(entry["sha256"])
    # The ending tells k3s how the archive is packed; the digest in the name makes another content another file.
    ending = "".join(
        part for part in Path(str(entry["path"])).suffixes if part in (".tar", ".zst", ".gz", ".bz2", ".lz4")
    )
    return {
        "name": name,
        "version": entry["version"],
        "path": f"{IMAGES}/holdfast-{name}-{digest[:12]}{ending}",
        "size": entry["size"],
        "reference": entry.get("reference", ""),
    }
