# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A certificate authority of the site on the controller: a key and its certificates in one sealed file.

The file is one secret of the site: the key and the certificate that sign, and while one authority takes over from
another the certificate of that other one, which is trusted too, with its key as long as it has not signed yet.
"""

from __future__ import annotations

import datetime
import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass

try:
    from cryptography import x509
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
except ImportError as error:
    MISSING = str(error)
else:
    MISSING = ""

# What a certificate may be used for, by the names of the library.
KINDS = {
    # The gateway for JSON connects to its own member with the server's certificate, so that is a client's too.
    "server": ("SERVER_AUTH", "CLIENT_AUTH"),
    "peer": ("SERVER_AUTH", "CLIENT_AUTH"),
    "client": ("CLIENT_AUTH",),
}
AUTHORITY_DAYS = 3652
LONGEST_DAYS = 365
# A node's clock may be a little behind the controller's.
BACKDATED = datetime.timedelta(minutes=5)
CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n?", re.DOTALL)
KEY = re.compile(r"-----BEGIN (?:EC )?PRIVATE KEY-----.*?-----END (?:EC )?PRIVATE KEY-----\n?", re.DOTALL)


class AuthorityError(Exception):
    """Something is wrong that a person must put right; the text says what, where and how."""


@dataclass(frozen=True)
class Order:
    """One certificate that is wanted."""

    kind: str
    common_name: str
    names: tuple[str, ...] = ()
    days: int = LONGEST_DAYS


@dataclass(frozen=True)
class Issued:
    """A certificate and its key, as PEM."""

    certificate: str
    key: str


def now() -> datetime.datetime:
    return datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)


def distinguished(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "holdfast"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64]),
        ]
    )


def pem_of_key(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def pem_of(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def fingerprints(text: str) -> set[str]:
    """The SHA-256 of each certificate in a text of PEM blocks."""
    try:
        found = [x509.load_pem_x509_certificate(block.encode()) for block in CERTIFICATE.findall(text)]
    except ValueError as error:
        raise AuthorityError(
            f"A certificate authority that was given cannot be read: {error}. Nothing was changed."
        ) from error
    return {certificate.fingerprint(hashes.SHA256()).hex() for certificate in found}


class Authority:
    """Signs certificates of servers and clients."""

    def __init__(
        self,
        key: ec.EllipticCurvePrivateKey,
        certificates: Sequence[x509.Certificate],
        waiting: ec.EllipticCurvePrivateKey | None = None,
    ) -> None:
        self._key = key
        self._certificates = tuple(certificates)
        self._waiting = waiting

    @classmethod
    def create(cls, name: str) -> Authority:
        """A new one for ten years."""
        key = ec.generate_private_key(ec.SECP256R1())
        return cls(key, (_self_signed(key, name),))

    @classmethod
    def read(cls, text: str, where: str) -> Authority:
        """The one whose PEM blocks these are."""
        blocks, parts = KEY.findall(text), CERTIFICATE.findall(text)
        if len(blocks) not in (1, 2) or len(parts) < len(blocks):
            raise AuthorityError(
                f"{where} must hold a private key and its certificate, and holds {len(blocks)} and {len(parts)}. "
                "Nothing was changed. Bring it back from a backup of the controller."
            )
        try:
            keys = [serialization.load_pem_private_key(block.encode(), password=None) for block in blocks]
            certificates = [x509.load_pem_x509_certificate(block.encode()) for block in parts]
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise AuthorityError(f"{where} cannot be read: {error}. Nothing was changed.") from error
        curves = [key for key in keys if isinstance(key, ec.EllipticCurvePrivateKey)]
        if len(curves) != len(keys):
            raise AuthorityError(f"{where} must hold a key of an elliptic curve. Nothing was changed.")
        if any(key.public_key() != certificate.public_key() for key, certificate in zip(curves, certificates)):
            raise AuthorityError(f"The key in {where} is not that of its first certificate. Nothing was changed.")
        authority = cls(curves[0], certificates, curves[1] if len(curves) == 2 else None)
        authority._judge(where)
        return authority

    def _judge(self, where: str) -> None:
        first = self._certificates[0]
        try:
            signs = first.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        except x509.ExtensionNotFound:
            signs = False
        if not signs:
            raise AuthorityError(f"The first certificate in {where} is not that of an authority. Nothing was changed.")
        if first.not_valid_after_utc <= now():
            raise AuthorityError(
                f"The authority in {where} ended on {first.not_valid_after_utc:%Y-%m-%d}. "
                "Nothing was changed. Give another authority; the datastore's is exchanged by "
                "playbooks/datastore_authority.yml."
            )

    @property
    def text(self) -> str:
        """All of it, the key too, as it is kept."""
        keys = [self._key, *([self._waiting] if self._waiting else [])]
        return "".join(pem_of_key(key) for key in keys) + self.certificates

    @property
    def certificates(self) -> str:
        """What a member trusts: the certificate that signs first."""
        return "".join(pem_of(certificate) for certificate in self._certificates)

    @property
    def signer(self) -> str:
        """The identifier of the key that signs, as certificates name it."""
        return x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()).digest.hex()

    def begin(self, name: str) -> Authority:
        """With a successor that is trusted and does not sign yet; the same where there is one."""
        if self._waiting or len(self._certificates) > 1:
            return self
        key = ec.generate_private_key(ec.SECP256R1())
        return Authority(self._key, (*self._certificates, _self_signed(key, name)), key)

    def switch(self) -> Authority:
        """The successor signs, and the one before is still trusted; its key is forgotten."""
        if not self._waiting:
            return self
        return Authority(self._waiting, (self._certificates[1], self._certificates[0]))

    def end(self) -> Authority:
        """Only the one that signs is trusted."""
        if self._waiting:
            raise AuthorityError(
                "The new authority does not sign yet, so the old one cannot go. "
                "Nothing was changed. Run the step switch first."
            )
        return Authority(self._key, self._certificates[:1])

    def issue(self, order: Order) -> Issued:
        """Make a key and sign its certificate."""
        judge(order)
        key = ec.generate_private_key(ec.SECP256R1())
        begin, signer = now() - BACKDATED, self._certificates[0]
        end = min(begin + datetime.timedelta(days=order.days), signer.not_valid_after_utc)
        builder = (
            x509.CertificateBuilder()
            .subject_name(distinguished(order.common_name))
            .issuer_name(signer.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin)
            .not_valid_after(end)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(_uses(order.kind)), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        if order.names:
            names = x509.SubjectAlternativeName([_general(name) for name in dict.fromkeys(order.names)])
            builder = builder.add_extension(names, critical=False)
        return Issued(pem_of(builder.sign(self._key, hashes.SHA256())), pem_of_key(key))


def judge(order: Order) -> None:
    """Refuse a certificate that nobody should have."""
    if order.kind not in KINDS:
        raise AuthorityError(
            f"{order.common_name}: kind {order.kind!r} is not one of {', '.join(KINDS)}. Nothing was changed."
        )
    if not 1 <= order.days <= LONGEST_DAYS:
        raise AuthorityError(
            f"{order.common_name}: a certificate for {order.days} days was asked for; ask for "
            f"1 to {LONGEST_DAYS}. Nothing was changed."
        )
    if not order.common_name:
        raise AuthorityError(f"A {order.kind} certificate needs a common name. Nothing was changed.")
    if order.kind != "client" and not order.names:
        raise AuthorityError(
            f"{order.common_name}: a {order.kind} certificate needs names or addresses. Nothing was changed."
        )


def _self_signed(key: ec.EllipticCurvePrivateKey, name: str) -> x509.Certificate:
    begin = now() - BACKDATED
    return (
        x509.CertificateBuilder()
        .subject_name(distinguished(name))
        .issuer_name(distinguished(name))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + datetime.timedelta(days=AUTHORITY_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )


def _usage(signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs,
        crl_sign=signs,
        encipher_only=False,
        decipher_only=False,
    )


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _uses(kind: str) -> list[x509.ObjectIdentifier]:
    return [getattr(ExtendedKeyUsageOID, name) for name in KINDS[kind]]
