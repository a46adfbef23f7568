# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a certificate says, read with the standard library: nodes have no other library for it."""

from __future__ import annotations

import base64
import datetime
import hashlib
import ipaddress
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

PEM = re.compile(rb"-----BEGIN CERTIFICATE-----(.*?)-----END CERTIFICATE-----", re.DOTALL)
SEQUENCE, UTC_TIME, EXTENSIONS, OCTETS = 0x30, 0x17, 0xA3, 0x04
DNS_NAME, IP_ADDRESS = 0x82, 0x87
ALTERNATIVE_NAMES = bytes.fromhex("551d11")
AUTHORITY_KEY = bytes.fromhex("551d23")
SUBJECT_KEY = bytes.fromhex("551d0e")
SECONDS_OF_DAY = 86400.0
UTC = datetime.timezone.utc


@dataclass(frozen=True)
class Certificate:
    """Times in seconds since 1970; key identifiers as hexadecimal digits."""

    begins: float
    ends: float
    names: frozenset[str]
    key: str
    signer_key: str
    sha256: str

    def life_left(self, now: float) -> float:
        """The share of its life that is left, between 0 and 1."""
        return max(0.0, (self.ends - now) / max(1.0, self.ends - self.begins))

    def days_left(self, now: float) -> float:
        return (self.ends - now) / SECONDS_OF_DAY


def read_all(path: Path) -> list[Certificate]:
    """Every certificate of a file, in its order; none where there is no file or nothing readable in it."""
    try:
        return certificates_in(path.read_bytes())
    except OSError:
        return []


def certificates_in(content: bytes) -> list[Certificate]:
    """The same of what a file holds."""
    try:
        return [parse(base64.b64decode(block)) for block in PEM.findall(content)]
    except (ValueError, IndexError):
        return []


def parse(der: bytes) -> Certificate:
    """Read one certificate."""
    signed = _inner(der)[0][1]
    fields = list(_elements(signed))
    # Before the issuer come version (optional), serial number and algorithm; behind it the validity.
    sequences = [content for tag, content in fields if tag == SEQUENCE]
    begins, ends = (_time(tag, text) for tag, text in _elements(sequences[2]))
    extensions = dict(_extensions(next((content for tag, content in fields if tag == EXTENSIONS), b"")))
    return Certificate(
        begins=begins,
        ends=ends,
        names=frozenset(_names(extensions.get(ALTERNATIVE_NAMES, b""))),
        key=_subject_key(extensions.get(SUBJECT_KEY, b"")),
        signer_key=_authority_key(extensions.get(AUTHORITY_KEY, b"")),
        sha256=hashlib.sha256(der).hexdigest(),
    )


def reason_to_renew(
    found: Sequence[Certificate],
    has_key: bool,
    names: frozenset[str],
    authorities: Sequence[Certificate],
    share: float,
    now: float,
) -> str:
    """Why a certificate must be made anew; empty where it is good."""
    if not found:
        return "it is missing"
    if not has_key:
        return "its key is missing"
    first = found[0]
    if now >= first.ends:
        return "its time is over"
    if first.life_left(now) < share:
        return f"it has {first.days_left(now):.0f} days left, less than {share:.0%} of its life"
    if names and first.names != names:
        return "its names are not those that are asked for"
    if authorities and first.signer_key != authorities[0].key:
        return "another authority signs now"
    return ""


def _element(data: bytes, at: int) -> tuple[int, bytes, int]:
    """The tag, the content and the end of the DER element that begins there."""
    tag, length, start = data[at], data[at + 1], at + 2
    if length & 0x80:
        width = length & 0x7F
        length = int.from_bytes(data[start : start + width], "big")
        start += width
    return tag, data[start : start + length], start + length


def _elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(data):
        tag, content, at = _element(data, at)
        yield tag, content


def _inner(data: bytes) -> list[tuple[int, bytes]]:
    return list(_elements(_element(data, 0)[1]))


def _time(tag: int, text: bytes) -> float:
    form = "%y%m%d%H%M%SZ" if tag == UTC_TIME else "%Y%m%d%H%M%SZ"
    return datetime.datetime.strptime(text.decode("ascii"), form).replace(tzinfo=UTC).timestamp()


def _extensions(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    if not data:
        return
    for _tag, extension in _inner(data):
        parts = list(_elements(extension))
        # The identifier, perhaps a mark that it is critical, and the value.
        [value] = [content for tag, content in parts if tag == OCTETS]
        yield parts[0][1], value


def _names(data: bytes) -> Iterator[str]:
    for tag, content in _inner(data) if data else []:
        if tag == DNS_NAME:
            yield content.decode("ascii")
        elif tag == IP_ADDRESS:
            yield str(ipaddress.ip_address(content))


def _subject_key(data: bytes) -> str:
    return _element(data, 0)[1].hex() if data else ""


def _authority_key(data: bytes) -> str:
    return next((content.hex() for tag, content in _inner(data) if tag == 0x80), "") if data else ""
