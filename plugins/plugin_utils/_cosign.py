# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The signature of an image as cosign reads it: a second archive that completes the image's own.

Unpacked over the image's archive it makes the OCI layout that `cosign verify --local-image` judges and `cosign load`
sends to a registry. The image's own archive is not touched, so it is the same bytes on every node whoever signs it.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ansible_collections.holdfast.edge.plugins.module_utils._bundle.image import CONFIG, INDEX, MANIFEST
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.tarballs import add_bytes

PAYLOAD = "application/vnd.dev.cosign.simplesigning.v1+json"
SIGNATURE = "dev.cosignproject.cosign/signature"
# cosign's own marks in the index of a layout: what is the image, and what its signatures.
KIND, IMAGE, SIGNATURES = "kind", "dev.cosignproject.cosign/image", "dev.cosignproject.cosign/sigs"


@dataclass(frozen=True)
class SignableImage:
    """The only image of an archive: the descriptor of its manifest, and its name."""

    descriptor: Mapping[str, Any]
    reference: str

    @property
    def payload(self) -> bytes:
        """What is signed: that these bytes go by this name."""
        critical = {
            "identity": {"docker-reference": self.reference},
            "image": {"docker-manifest-digest": self.descriptor["digest"]},
            "type": "cosign container image signature",
        }
        return _json({"critical": critical, "optional": None})


def image_in(archive: Path, reference: str) -> SignableImage | None:
    """The image of an archive in OCI's layout; None where it is another kind of archive, or holds several."""
    try:
        with tarfile.open(archive) as tar:
            (descriptor,) = _read(tar, "index.json")["manifests"]
    except (tarfile.TarError, KeyError, ValueError, TypeError):
        return None
    return SignableImage(descriptor, reference)


def signature_in(archive: bytes) -> bytes:
    """The signature that an archive of `write` carries; nothing where it cannot be read."""
    try:
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            (described,) = [
                item for item in _read(tar, "index.json")["manifests"] if item["annotations"][KIND] == SIGNATURES
            ]
            (layer,) = _read(tar, _blob(described["digest"]))["layers"]
            return str(layer["annotations"][SIGNATURE]).encode()
    except (tarfile.TarError, KeyError, ValueError, TypeError):
        return b""


def write(image: SignableImage, signature: bytes) -> bytes:
    """The archive; equal signatures give equal bytes."""
    payload = image.payload
    layer = {**_descriptor(PAYLOAD, payload), "annotations": {SIGNATURE: signature.decode()}}
    config = _json(
        {
            "architecture": "",
            "config": {},
            "history": [],
            "os": "",
            "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]},
        }
    )
    manifest = _json(
        {"schemaVersion": 2, "mediaType": MANIFEST, "config": _descriptor(CONFIG, config), "layers": [layer]}
    )
    described = [
        {**image.descriptor, "annotations": {**image.descriptor.get("annotations", {}), KIND: IMAGE}},
        {**_descriptor(MANIFEST, manifest), "annotations": {KIND: SIGNATURES}},
    ]
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        add_bytes(tar, "index.json", _json({"schemaVersion": 2, "mediaType": INDEX, "manifests": described}))
        for content in (manifest, config, payload):
            add_bytes(tar, _blob(_digest(content)), content)
    return out.getvalue()


def _read(tar: tarfile.TarFile, name: str) -> Any:
    stream = tar.extractfile(name)
    return json.load(stream) if stream else None


def _descriptor(media_type: str, content: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": _digest(content), "size": len(content)}


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _blob(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
