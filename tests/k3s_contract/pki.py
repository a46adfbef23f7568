# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a certificate on a host says, read on this machine."""

from __future__ import annotations

import datetime
import socket
import ssl

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from .node import Node

TLS = "/var/lib/rancher/k3s/server/tls"


def certificate(node: Node, path: str) -> x509.Certificate:
    """Return the first certificate of a file."""
    return x509.load_pem_x509_certificate(node.run(f"cat {path}").encode())


def days(found: x509.Certificate) -> float:
    """Return for how many days a certificate was made."""
    length = found.not_valid_after_utc - found.not_valid_before_utc
    return length / datetime.timedelta(days=1)


def names(found: x509.Certificate) -> set[str]:
    """Return all names and addresses a certificate is good for."""
    extension = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return {str(entry.value) for entry in extension}


def public_key(found: x509.Certificate) -> bytes:
    """Return the public key, to compare it."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return found.public_key().public_bytes(serialization.Encoding.DER, form)


def served(address: str, port: int = 6443, server_name: str = "") -> x509.Certificate:
    """Return the certificate that a port shows."""
    context = ssl._create_unverified_context()
    with (
        socket.create_connection((address, port), timeout=10) as raw,
        context.wrap_socket(raw, server_hostname=server_name or address) as secure,
    ):
        found = secure.getpeercert(binary_form=True)
    assert found is not None, f"{address}:{port} shows no certificate"
    return x509.load_der_x509_certificate(found)
