# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Signs a bundle with the key of those who answer for it: its manifest, and for strangers each of its images."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.holdfast.edge.plugins.module_utils._bundle.errors import BundleError
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.files import put_in_place
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.inspection import checked_file
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.manifest import MANIFEST_NAME, manifest_bytes, parse
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.signatures import (
    MANIFEST_SIGNATURE,
    signature_of_image,
    signatures_in,
)

from . import _cosign
from ._bundle_trust import MISSING, fingerprint, has_signed

try:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
except ImportError:
    # `MISSING` says so.
    pass


@dataclass(frozen=True)
class Signed:
    """Which signatures had to be made, and by whom."""

    made: tuple[str, ...]
    signer: str


def read_signing_key(content: bytes, passphrase: str, where: Path) -> ec.EllipticCurvePrivateKey:
    """A private key as PEM, sealed with a passphrase or not."""
    if MISSING:
        raise BundleError(MISSING)
    try:
        key = serialization.load_pem_private_key(content, passphrase.encode() or None)
    except TypeError as error:
        # The library tells in this way that there is a passphrase where none is needed, or none where one is.
        wrong = "is not sealed, and a passphrase was given" if passphrase else "is sealed, and no passphrase was given"
        raise BundleError(f"{where} {wrong} (bundle_signing_passphrase). Nothing was signed.") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BundleError(
            f"{where} cannot be read as a private key in PEM: it is of another kind, or its passphrase is wrong. "
            "Nothing was signed. docs/bundle.md says how to make one."
        ) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise BundleError(
            f"{where} is not a key of the curve P-256, which bundles are signed with. Nothing was signed."
        )
    return key


def sign(bundle: Path, key: ec.EllipticCurvePrivateKey, dry: bool) -> Signed:
    """Have the signatures of this key, and none besides; a good one that is there stays."""
    manifest = manifest_bytes(bundle)
    signer = fingerprint(key.public_key())
    if manifest is None:
        if dry:
            return Signed((MANIFEST_SIGNATURE,), signer)
        raise BundleError(f"There is no bundle at {bundle}, so nothing was signed. Run playbooks/bundle.yml.")
    entries = parse(manifest, str(bundle / MANIFEST_NAME))
    there = signatures_in(bundle, entries)
    wanted: dict[str, bytes] = {}
    for entry in entries:
        image = _cosign.image_in(checked_file(bundle, entry), entry.reference) if entry.kind == "image" else None
        if image:
            path = signature_of_image(entry.path)
            kept = _cosign.signature_in(there.get(path, b""))
            wanted[path] = _cosign.write(image, _signature(key, image.payload, kept))
    # The manifest's comes last: where it is, all the others are.
    wanted[MANIFEST_SIGNATURE] = _signature(key, manifest, there.get(MANIFEST_SIGNATURE, b""))
    made = [path for path, content in wanted.items() if content != there.get(path)]
    for path in [] if dry else made:
        target = bundle / path
        part = target.with_name(f".{target.name}.part")
        part.write_bytes(wanted[path])
        put_in_place(part, target)
    return Signed(tuple(made), signer)


def _signature(key: ec.EllipticCurvePrivateKey, content: bytes, kept: bytes) -> bytes:
    """As base64, which cosign and openssl both read: the one that is there where it is right, else a new one."""
    if has_signed(key.public_key(), kept, content):
        return kept
    return base64.b64encode(key.sign(content, ec.ECDSA(hashes.SHA256())))
