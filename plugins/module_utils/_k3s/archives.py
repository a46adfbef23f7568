# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Archives of images on a node: those that are missing, those no longer wanted, and those whose images are lost.

k3s remembers in a file what it imported. So an image that was removed since, by a disk that was full or by hand, does
not come back at the next start.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from . import paths

# A kubelet lists its images again every half minute, and tells that of them with its next status.
SETTLED_SECONDS = 120.0


def _place(root: Path, path: str) -> Path:
    return root / path.lstrip("/")


def missing(images: Iterable[Mapping[str, Any]], root: Path) -> list[str]:
    """Archives that are not there, or not whole."""
    return [
        image["path"]
        for image in images
        if not _place(root, image["path"]).is_file() or _place(root, image["path"]).stat().st_size != image["size"]
    ]


def old(images: Sequence[Mapping[str, Any]], root: Path) -> list[str]:
    """Archives of ours that are no longer wanted: k3s would keep their images for ever."""
    wanted = {image["path"] for image in images}
    there = sorted(_place(root, paths.IMAGES).glob("holdfast-*"))
    return [f"{paths.IMAGES}/{path.name}" for path in there if wanted and f"{paths.IMAGES}/{path.name}" not in wanted]


def lost(images: Iterable[Mapping[str, Any]], told: Sequence[str], root: Path, settled_before: float) -> list[str]:
    """Archives with an image that the node does not have, though it had time to import it."""
    if not told:
        return []
    return [
        image["path"]
        for image in images
        if _place(root, image["path"]).is_file()
        and _place(root, image["path"]).stat().st_mtime < settled_before
        and not set(references(image, root)) <= set(told)
    ]


def references(image: Mapping[str, Any], root: Path) -> list[str]:
    """The names of an archive's images, where they can be known without unpacking it."""
    if image.get("reference"):
        return [str(image["reference"])]
    if not str(image["path"]).endswith(".tar"):
        return []
    try:
        with tarfile.open(str(_place(root, image["path"])), "r:") as archive:
            member = archive.extractfile("manifest.json")
            entries = json.load(member) if member else []
    except (OSError, KeyError, ValueError, tarfile.TarError):
        return []
    return [str(tag) for entry in entries for tag in entry.get("RepoTags") or []]
