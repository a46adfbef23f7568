# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Talks to a running QEMU over its control socket."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

TIMEOUT_SECONDS = 20.0
"""QEMU answers one caller at a time; a second waits for its turn."""


class QmpError(Exception):
    """QEMU did not answer, or refused."""


def execute(path: Path, command: str) -> dict[str, Any]:
    """Run one command and return its answer."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(TIMEOUT_SECONDS)
            connection.connect(str(path))
            with connection.makefile("rw", encoding="utf-8") as stream:
                stream.readline()  # the greeting
                for word in ("qmp_capabilities", command):
                    stream.write(json.dumps({"execute": word}) + "\n")
                    stream.flush()
                    answer = _answer(stream.readline)
    except (OSError, ValueError) as error:
        raise QmpError(f"QEMU does not answer at {path}: {error}") from error
    return answer


def _answer(readline: Any) -> dict[str, Any]:
    while True:
        line = readline()
        if not line:
            raise OSError("it hung up")
        message = json.loads(line)
        if "error" in message:
            raise QmpError(str(message["error"].get("desc", message["error"])))
        # Events come in between at any time.
        if "return" in message:
            return dict(message["return"])
