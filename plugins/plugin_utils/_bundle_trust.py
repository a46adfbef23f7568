# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose word a bundle is taken on. Whatever is read of a bundle for a site is read here, on the controller.

The variable `bundle_public_keys` says whose. It is looked up here and is no option of each task, so that no role can
forget it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ansible_collections.holdfast.edge.plugins.module_utils._bundle.errors import BundleError
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.manifest import (
    MANIFEST_NAME,
    Entry,
    manifest_bytes,
    parse,
)
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.signatures import (
    MANIFEST_SIGNATURE,
    signatures_in,
)

try:
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
except ImportError as error:
    MISSING = f"The controller lacks the package cryptography ({error}). Install it. Nothing was changed."
else:
    MISSING = ""

VARIABLE = "bundle_public_keys"
UNTOUCHED = "Nothing was taken from it, and what is on nodes is untouched."


def keys_of_play(variables: Mapping[str, Any], templar: Any) -> list[ec.EllipticCurvePublicKey]:
    """The keys of which one must have signed; none where the play asks for no signature."""
    given = templar.template(variables.get(VARIABLE, []))
    if not isinstance(given, (list, tuple)) or not all(isinstance(key, str) for key in given):
        raise BundleError(f"{VARIABLE} must be a list of public keys as PEM. {UNTOUCHED}")
    return [read_public_key(key, f"{VARIABLE}, entry {number}") for number, key in enumerate(given, 1)]


def read_public_key(text: str, where: str) -> ec.EllipticCurvePublicKey:
    if MISSING:
        raise BundleError(MISSING)
    try:
        key = serialization.load_pem_public_key(text.encode())
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BundleError(
            f"{where} is no public key as PEM, which begins with -----BEGIN PUBLIC KEY-----. {UNTOUCHED}"
        ) from error
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise BundleError(f"{where} is not a key of the curve P-256, which bundles are signed with. {UNTOUCHED}")
    return key


def fingerprint(key: ec.EllipticCurvePublicKey) -> str:
    """A name for a key that two people can compare."""
    content = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return f"sha256:{hashlib.sha256(content).hexdigest()[:16]}"


def has_signed(key: ec.EllipticCurvePublicKey, signature: bytes, content: bytes) -> bool:
    """Whether this is the signature, as base64, that the key made over the content."""
    try:
        key.verify(base64.b64decode(b"".join(signature.split()), validate=True), content, ec.ECDSA(hashes.SHA256()))
    except (InvalidSignature, binascii.Error):
        return False
    return True


def judge(
    manifest: bytes, signatures: Mapping[str, bytes], keys: Sequence[ec.EllipticCurvePublicKey], where: Path
) -> str:
    """Who signed, as a fingerprint: one of the keys, or an error."""
    asked = ", ".join(fingerprint(key) for key in keys)
    signature = signatures.get(MANIFEST_SIGNATURE)
    if signature is None:
        raise BundleError(
            f"{where} was refused: {VARIABLE} asks for a signature by {asked}, and there is no {MANIFEST_SIGNATURE} "
            f"beside its {MANIFEST_NAME}. {UNTOUCHED} Fetch the bundle from where it was signed; it is signed by "
            "playbooks/bundle.yml with bundle_signing_key."
        )
    for key in keys:
        if has_signed(key, signature, manifest):
            return fingerprint(key)
    raise BundleError(
        f"{where} was refused: its {MANIFEST_NAME} was not signed as it is by {asked}, so it was changed after it was "
        f"signed, or somebody else signed it. {UNTOUCHED} Fetch the bundle again and ask who wrote to it; where the "
        f"key was exchanged, add the new public key to {VARIABLE}."
    )


def read_trusted(bundle: Path, keys: Sequence[ec.EllipticCurvePublicKey]) -> tuple[Entry, ...] | None:
    """What is in a bundle, on the word of one of these keys (nobody's where there are none); None without a bundle."""
    content = manifest_bytes(bundle)
    if content is None:
        return None
    if keys:
        judge(content, signatures_in(bundle, ()), keys, bundle)
    return parse(content, str(bundle / MANIFEST_NAME))


def trusted_entries(bundle: Path, keys: Sequence[ec.EllipticCurvePublicKey]) -> tuple[Entry, ...]:
    """The same where nothing can be done without a bundle."""
    entries = read_trusted(bundle, keys)
    if entries is None:
        raise no_bundle(bundle)
    return entries


def no_bundle(bundle: Path) -> BundleError:
    return BundleError(
        f"There is no bundle at {bundle} (no {MANIFEST_NAME}). Nothing was changed. Make one with "
        "playbooks/bundle.yml or set bundle_path to where it is on the controller."
    )
