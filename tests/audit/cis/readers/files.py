# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads modes and owners of files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import PurePosixPath
from typing import Any

from ..evidence import Evidence, File, Node
from ..result import Finding


def mode(check: Mapping[str, Any], evidence: Evidence) -> list[Finding]:
    """No bit beyond the mode that is asked; `missing: pass` where a file may be absent."""
    most = int(check["at_most"], 8)
    return _each(check, evidence, lambda file: not file.mode & ~most, lambda file: f"mode {file.mode:04o}")


def owner(check: Mapping[str, Any], evidence: Evidence) -> list[Finding]:
    """User and group."""
    return _each(
        check,
        evidence,
        lambda file: f"{file.owner}:{file.group}" == check["is"],
        lambda file: f"owner {file.owner}:{file.group}",
    )


def _each(
    check: Mapping[str, Any], evidence: Evidence, holds: Callable[[File], bool], seen: Callable[[File], str]
) -> list[Finding]:
    findings: list[Finding] = []
    for node in _nodes(check, evidence):
        for pattern in check["files"]:
            files = [file for file in node.files.get(pattern, ()) if not _left_out(check, file)]
            if not files and check.get("missing") != "pass":
                findings.append(Finding(f"{node.name}:{pattern}", False, "there is no such file"))
            findings += [Finding(f"{node.name}:{file.path}", holds(file), seen(file)) for file in files]
    return findings


def _nodes(check: Mapping[str, Any], evidence: Evidence) -> tuple[Node, ...]:
    return evidence.nodes if check["of"] == "nodes" else evidence.servers


def _left_out(check: Mapping[str, Any], file: File) -> bool:
    return PurePosixPath(file.path).name in check.get("but", ())
