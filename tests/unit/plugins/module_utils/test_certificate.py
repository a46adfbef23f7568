# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Certificates are issued as they should be, and what the nodes read in them is what is there."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from ansible_collections.holdfast.edge.plugins.module_utils._certificate import (
    Certificate,
    read_all,
    reason_to_renew,
)
from ansible_collections.holdfast.edge.plugins.plugin_utils._authority import (
    Authority,
    AuthorityError,
    Order,
    fingerprints,
    judge,
)
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID

NAMES = ("edge-1", "10.0.0.11", "localhost", "127.0.0.1", "fd00::11")
DAY = 86400.0


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.create("test")


def written(folder: Path, authority: Authority, order: Order) -> tuple[list[Certificate], list[Certificate]]:
    issued = authority.issue(order)
    (folder / "ca.crt").write_text(authority.certificates, encoding="utf-8")
    (folder / "server.crt").write_text(issued.certificate, encoding="utf-8")
    (folder / "server.key").write_text(issued.key, encoding="utf-8")
    return read_all(folder / "server.crt"), read_all(folder / "ca.crt")


def test_a_node_reads_what_was_issued(authority: Authority, tmp_path: Path) -> None:
    (found,), (signer,) = written(tmp_path, authority, Order("server", "edge-1", NAMES))
    loaded = x509.load_pem_x509_certificate((tmp_path / "server.crt").read_bytes())
    assert found.names == set(NAMES)
    assert found.begins == loaded.not_valid_before_utc.timestamp()
    assert found.ends == loaded.not_valid_after_utc.timestamp()
    assert found.sha256 == loaded.fingerprint(hashes.SHA256()).hex()
    assert found.signer_key == signer.key
    assert found.key not in ("", signer.key)


def test_an_authority_signs_no_other_and_lasts_ten_years(authority: Authority) -> None:
    certificate = x509.load_pem_x509_certificate(authority.certificates.encode())
    limits = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert (limits.critical, limits.value.ca, limits.value.path_length) == (True, True, 0)
    assert 3650 <= (certificate.not_valid_after_utc - certificate.not_valid_before_utc).days <= 3653


@pytest.mark.parametrize(("kind", "serves"), [("server", True), ("peer", True), ("client", False)])
def test_what_a_certificate_is_good_for(authority: Authority, kind: str, serves: bool) -> None:
    issued = authority.issue(Order(kind, "edge-1", NAMES if serves else ()))
    certificate = x509.load_pem_x509_certificate(issued.certificate.encode())
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert ExtendedKeyUsageOID.CLIENT_AUTH in usage
    assert (ExtendedKeyUsageOID.SERVER_AUTH in usage) == serves
    assert (certificate.not_valid_after_utc - certificate.not_valid_before_utc).days <= 365


@pytest.mark.parametrize(
    ("order", "told"),
    [
        (Order("root", "x", NAMES), "kind 'root' is not one of"),
        (Order("server", "x", NAMES, days=366), "a certificate for 366 days"),
        (Order("peer", "x"), "needs names or addresses"),
        (Order("client", ""), "needs a common name"),
    ],
)
def test_certificates_that_nobody_should_have_are_refused(order: Order, told: str) -> None:
    with pytest.raises(AuthorityError, match=told):
        judge(order)


def test_when_a_certificate_is_due(authority: Authority, tmp_path: Path) -> None:
    found, signers = written(tmp_path, authority, Order("server", "edge-1", NAMES, days=100))
    names, now = frozenset(NAMES), found[0].begins

    def why(now: float, names: frozenset[str] = names, has_key: bool = True, share: float = 0.3) -> str:
        return reason_to_renew(found, has_key, names, signers, share, now)

    assert why(now + 69 * DAY) == ""
    assert why(now + 71 * DAY) == "it has 29 days left, less than 30% of its life"
    assert why(now + 101 * DAY) == "its time is over"
    assert why(now, names=frozenset({"other"})) == "its names are not those that are asked for"
    assert why(now, names=frozenset()) == ""
    assert why(now, has_key=False) == "its key is missing"
    assert reason_to_renew([], True, names, signers, 0.3, now) == "it is missing"
    strangers = [Certificate(0, 1, frozenset(), "another", "", "")]
    assert reason_to_renew(found, True, names, strangers, 0.3, now) == "another authority signs now"


def test_what_is_no_certificate_reads_as_none(tmp_path: Path) -> None:
    assert read_all(tmp_path / "none") == []
    broken = tmp_path / "broken"
    body = base64.b64encode(b"\x30\x82\xff").decode()
    broken.write_text(f"-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n", encoding="utf-8")
    assert read_all(broken) == []


def test_an_authority_is_read_as_it_was_kept(authority: Authority) -> None:
    assert Authority.read(authority.text, "here").text == authority.text


def test_an_authority_takes_over_in_three_steps(authority: Authority, tmp_path: Path) -> None:
    both = Authority.read(authority.begin("test").text, "here")
    assert len(fingerprints(both.certificates)) == 2
    assert both.begin("test").text == both.text
    assert written(tmp_path, both, Order("server", "x", NAMES))[0][0].signer_key == read_all(tmp_path / "ca.crt")[0].key
    with pytest.raises(AuthorityError, match="Run the step switch first"):
        both.end()
    switched = Authority.read(both.switch().text, "here")
    (found,), trusted = written(tmp_path, switched, Order("server", "x", NAMES))
    assert found.signer_key == trusted[0].key
    assert fingerprints(switched.certificates) == fingerprints(both.certificates)
    assert switched.text.count("PRIVATE KEY") == 2
    alone = Authority.read(switched.end().text, "here")
    assert fingerprints(alone.certificates) == fingerprints(switched.certificates) - fingerprints(
        authority.certificates
    )


def test_files_that_are_no_authority_are_refused(authority: Authority) -> None:
    other = Authority.create("other")
    leaf = authority.issue(Order("client", "x"))
    mixed = authority.text[: authority.text.index("-----BEGIN CERT")] + other.certificates
    for text, told in (
        ("", "must hold a private key and its certificate"),
        (mixed, "is not that of its first certificate"),
        (leaf.key + leaf.certificate, "is not that of an authority"),
    ):
        with pytest.raises(AuthorityError, match=told):
            Authority.read(text, "here")
