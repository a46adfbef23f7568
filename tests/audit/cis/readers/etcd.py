# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads the etcd of a site: how it was started, from its file or its arguments and environment, and what it holds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..conditions import asked, holds
from ..evidence import Etcd, Evidence, Node
from ..result import Finding
from ..settings import as_text, at, parsed

# In the file, some settings stand in a section and have another name there than as a flag.
SECTIONS = {"peer-": "peer-transport-security", "": "client-transport-security"}
IN_SECTIONS = ("cert-file", "key-file", "client-cert-auth", "trusted-ca-file", "auto-tls")
CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----(.*?)-----END CERTIFICATE-----", re.DOTALL)


def setting_of(etcd: Etcd, flag: str) -> str | None:
    """The value by which etcd runs. With a configuration file it reads neither arguments nor environment."""
    if etcd.config_path:
        prefix = "peer-" if flag.startswith("peer-") else ""
        short = flag[len(prefix) :]
        path = f"{SECTIONS[prefix]}.{short}" if short in IN_SECTIONS else flag
        found = at(parsed(etcd.config), path)
        return None if found is None else as_text(found)
    for position, argument in enumerate(etcd.arguments):
        name, equals, value = argument.lstrip("-").partition("=")
        if argument.startswith("-") and name == flag:
            following = etcd.arguments[position + 1 : position + 2]
            return value if equals else (following[0] if following and not following[0].startswith("-") else "true")
    return etcd.environment.get("ETCD_" + flag.upper().replace("-", "_"))


def etcd_setting(check: Mapping[str, Any], evidence: Evidence) -> list[Finding]:
    """One setting on every member; where it names a file, `at_most` is the mode that the file may have."""
    findings = []
    for node in evidence.members:
        if node.etcd is None:
            findings.append(_silent(node))
            continue
        value = setting_of(node.etcd, check["flag"])
        seen = f"{check['flag']}: {value if value is not None else 'not given'}"
        if not holds(check, value):
            findings.append(Finding(node.name, False, f"{seen}; asked: {asked(check)}"))
        elif "mode" in check and value is not None:
            findings.append(_file(node.name, node.etcd, value, int(check["mode"], 8)))
        else:
            findings.append(Finding(node.name, True, seen))
    return findings


def etcd_data(check: Mapping[str, Any], evidence: Evidence) -> list[Finding]:
    """Mode or owner of the folder that holds the data."""
    findings = []
    for node in evidence.members:
        if node.etcd is None:
            findings.append(_silent(node))
            continue
        path = setting_of(node.etcd, "data-dir") or ""
        file = node.etcd.files.get(path)
        if file is None:
            findings.append(Finding(node.name, False, f"data-dir {path or 'is not given'}: there is no such folder"))
        elif "mode" in check:
            findings.append(_file(node.name, node.etcd, path, int(check["mode"], 8)))
        else:
            owner = f"{file.owner}:{file.group}"
            findings.append(Finding(f"{node.name}:{path}", owner == check["is"], f"owner {owner}"))
    return findings


def own_authority(check: Mapping[str, Any], evidence: Evidence) -> list[Finding]:
    """No certificate that etcd trusts is one of those that k3s trusts."""
    findings = []
    theirs = {
        block: path
        for node in evidence.servers
        for path, content in node.authorities.items()
        if path.startswith("/var/lib/rancher/")
        for block in _blocks(content)
    }
    for node in evidence.members:
        if node.etcd is None:
            findings.append(_silent(node))
            continue
        for flag in ("trusted-ca-file", "peer-trusted-ca-file"):
            path = setting_of(node.etcd, flag)
            blocks = _blocks(node.authorities.get(path or "", ""))
            shared = sorted({theirs[block] for block in blocks if block in theirs})
            if shared:
                told = f"{flag} {path} holds a CA of k3s too ({', '.join(shared)})"
            else:
                told = (
                    f"{flag}: {path}" if blocks else f"{flag} {path or 'is not given'}: no certificate was found there"
                )
            findings.append(Finding(node.name, bool(blocks) and not shared, told))
    return findings


def _blocks(content: str) -> list[str]:
    return ["".join(block.split()) for block in CERTIFICATE.findall(content)]


def _silent(node: Node) -> Finding:
    return Finding(node.name, False, "no etcd runs here, though the inventory makes this host a member")


def _file(node: str, etcd: Etcd, path: str, most: int) -> Finding:
    file = etcd.files.get(path)
    if file is None:
        return Finding(f"{node}:{path}", False, "there is no such file")
    return Finding(f"{node}:{path}", not file.mode & ~most, f"mode {file.mode:04o}")
