# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""python -m holdfast_inference.server.operator: ask the operator's socket, where there is no shell and no curl.

An image has neither. What Kubernetes calls before it stops a pod is this, and so is what a person calls through
`kubectl exec`. Only the standard library is imported: a drain must not wait for an engine's modules.
"""

from __future__ import annotations

import argparse
import http.client
import json
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

SOCKET = Path("/run/holdfast/admin.sock")
READS = ("status",)
VERBS = (*READS, "drain", "resume", "activate", "roll_back", "probe")


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path, seconds: float) -> None:
        super().__init__("operator", timeout=seconds)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def ask(path: Path, verb: str, body: dict[str, Any], seconds: float) -> tuple[int, str]:
    """The status and the text of the answer."""
    connection = _UnixConnection(path, seconds)
    try:
        if verb in READS:
            connection.request("GET", f"/admin/{verb}")
        else:
            headers = {"Content-Type": "application/json"}
            connection.request("POST", f"/admin/{verb}", json.dumps(body), headers)
        response = connection.getresponse()
        return response.status, response.read().decode("utf-8", "replace")
    finally:
        connection.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; 1 where the server said no, 2 where it could not be asked."""
    parser = argparse.ArgumentParser(prog="python -m holdfast_inference.server.operator", description=__doc__)
    parser.add_argument("verb", choices=VERBS)
    parser.add_argument("body", nargs="?", default="{}", help="a JSON object, such as '{\"hand_over_after\": 5}'")
    parser.add_argument("--socket", type=Path, default=SOCKET)
    parser.add_argument("--seconds", type=float, default=600.0, help="how long to wait for the answer")
    options = parser.parse_args(arguments)
    try:
        body = json.loads(options.body)
        if not isinstance(body, dict):
            raise ValueError("it is no object")
    except ValueError as error:
        print(f"{options.body} is not a JSON object: {error}", file=sys.stderr)
        return 2
    try:
        status, text = ask(options.socket, options.verb, body, options.seconds)
    except (OSError, http.client.HTTPException) as error:
        print(f"{options.socket} does not answer: {error or type(error).__name__}", file=sys.stderr)
        return 2
    print(text)
    return 0 if status < 400 else 1


if __name__ == "__main__":
    sys.exit(main())
