# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The node's part: one step of what the action plugin orders."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .errors import ArtifactError
from .install import UNTOUCHED, activate, install_file, install_version, mend_modes, prepare, prune, put_links
from .look import look


def carry_out(order: Mapping[str, Any], params: Mapping[str, Any]) -> dict[str, Any]:
    """Do the step and tell what came of it."""
    name, dest = str(params["name"]), str(params["dest"])
    if order["step"] == "look":
        return {"seen": look(name, dest, params["links"])}
    try:
        if order["step"] == "prepare":
            # Who comes by sudo writes as the user of the connection.
            prepare(Path(order["incoming"]), int(os.environ.get("SUDO_UID", os.geteuid())))
            return {}
        return {"removed": _install(order, params, name, dest)}
    except OSError as error:
        raise ArtifactError(f"The system refused: {error}. {UNTOUCHED} Put that right, then run this again.") from error


def _install(order: Mapping[str, Any], params: Mapping[str, Any], name: str, dest: str) -> list[str]:
    incoming, version, files = Path(order["incoming"]), str(order["version"]), order["files"]
    if dest:
        install_file(name, Path(dest), incoming, next(iter(files.values())))
        return []
    if files:
        install_version(name, version, incoming, files)
    if order["mend"]:
        mend_modes(name, version, order["mend"])
    changed = bool(order["activate"]) and activate(name, version)
    put_links(name, order["links"])
    return prune(name, int(params["keep"])) if changed or files else []
