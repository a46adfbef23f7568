# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the signatures of a bundle lie. Here they are only carried; the controller makes and judges them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from .manifest import Entry

MANIFEST_SIGNATURE = "bundle.json.sig"
# They come from whoever had the stick, and are read before anything is verified.
LARGEST = 64 << 10


def signature_of_image(path: str) -> str:
    """Beside the image, which stays the same bytes whoever signs it."""
    return f"{path[: -len('.tar')] if path.endswith('.tar') else path}.cosign.tar"


def signature_paths(entries: Iterable[Entry]) -> list[str]:
    """Where signatures may lie; anything else that the manifest does not name does not belong into a bundle."""
    return [MANIFEST_SIGNATURE, *sorted(signature_of_image(entry.path) for entry in entries if entry.kind == "image")]


def signatures_in(bundle: Path, entries: Iterable[Entry]) -> dict[str, bytes]:
    """Those that are there."""
    found = {path: bundle / path for path in signature_paths(entries)}
    return {
        path: file.read_bytes()
        for path, file in found.items()
        if file.is_file() and not file.is_symlink() and file.stat().st_size <= LARGEST
    }
