# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is in an image, as an SPDX 2.3 document: each Debian package and each wheel with the digest of its file."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from .catalogue import Artifact
from .debian import Package
from .wheels import Wheel

# The same bytes at each build: no time of day goes in.
CREATED = "1970-01-01T00:00:00Z"
NOT_SAID = "NOASSERTION"


def render(artifact: Artifact, packages: Sequence[Package], installed: Sequence[Wheel], key: str) -> str:
    """The text of the document; `key` makes its namespace one of a kind."""
    whole = _package(artifact.name, artifact.version, artifact.licence, artifact.origin)
    parts = [
        _package(
            package.name,
            package.version,
            # Debian tells licences in prose, which is in the image: usr/share/doc/<name>/copyright.
            NOT_SAID,
            NOT_SAID,
            package.sha256,
            f"pkg:deb/debian/{quote(package.name)}@{quote(package.version, safe='')}?arch={package.architecture}",
        )
        for package in packages
    ] + [
        _package(
            wheel.name,
            wheel.version,
            wheel.licence,
            NOT_SAID,
            wheel.sha256,
            f"pkg:pypi/{quote(re.sub(r'[-_.]+', '-', wheel.name).lower())}@{quote(wheel.version, safe='')}",
        )
        for wheel in installed
    ]
    document = {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": f"{artifact.name}-{artifact.version}",
        "documentNamespace": f"{artifact.origin}/spdx/{artifact.name}-{artifact.version}-{key}",
        "creationInfo": {"created": CREATED, "creators": ["Organization: The Holdfast authors"]},
        "packages": [whole, *parts],
        "relationships": [
            _related("SPDXRef-DOCUMENT", "DESCRIBES", whole["SPDXID"]),
            *(_related(whole["SPDXID"], "CONTAINS", part["SPDXID"]) for part in parts),
        ],
    }
    return json.dumps(document, indent=1, sort_keys=True) + "\n"


def _package(name: str, version: str, licence: str, origin: str, sha256: str = "", address: str = "") -> dict[str, Any]:
    kind = address.partition("/")[0].partition(":")[2] or "whole"
    described: dict[str, Any] = {
        "SPDXID": f"SPDXRef-{kind}-{re.sub(r'[^A-Za-z0-9.-]', '-', name)}",
        "name": name,
        "versionInfo": version,
        "licenseDeclared": licence,
        "licenseConcluded": NOT_SAID,
        "copyrightText": NOT_SAID,
        "downloadLocation": origin,
        "filesAnalyzed": False,
    }
    if sha256:
        described["checksums"] = [{"algorithm": "SHA256", "checksumValue": sha256}]
    if address:
        described["externalRefs"] = [
            {"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl", "referenceLocator": address}
        ]
    return described


def _related(one: str, how: str, other: str) -> dict[str, str]:
    return {"spdxElementId": one, "relationshipType": how, "relatedSpdxElement": other}
