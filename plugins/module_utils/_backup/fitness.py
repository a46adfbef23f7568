# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a backup may become this site: the right site, and versions that can read its data."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from .._versions import version_key
from .shape import Manifest

_MINOR = re.compile(r"v?(\d+)\.(\d+)\.")


def newest(versions: Iterable[str]) -> str:
    return max(versions, key=version_key, default="")


def faults(manifest: Manifest, site: str, other_site: bool, etcd_version: str, k3s_version: str) -> Iterator[str]:
    """Everything that forbids to restore, each with its remedy."""
    header = manifest.header
    if site and header.site != site and not other_site:
        yield (
            f"the backup is of the site {header.site}, and this is {site}; take one of {site}, or give -e "
            "restore_other_site=true if this site shall become that one"
        )
    for name, present, wanted, variable in (
        ("etcd", str(manifest.etcd.get("version", "")), etcd_version, "etcd_version"),
        ("k3s", str(manifest.k3s.get("version", "")), k3s_version, "k3s_version"),
    ):
        fault = step(name, present, wanted)
        if fault:
            yield f"{fault}; name a version of the same minor with -e {variable}=…, and have it in the bundle"


def step(name: str, present: str, wanted: str) -> str:
    """Data of one version are read by the same minor and by the next one; nothing reads those of a later one."""
    before, after = _MINOR.match(present), _MINOR.match(wanted)
    if not before or not after:
        return ""
    if before[1] != after[1] or not 0 <= int(after[2]) - int(before[2]) <= 1:
        return f"the backup was made with {name} {present}, whose data {name} {wanted} does not read"
    return ""
