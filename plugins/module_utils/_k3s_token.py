# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changes the token of a cluster. Whose token counts is told by the name of a key in the datastore."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import re
import ssl
import time
from collections.abc import Sequence
from pathlib import Path

from ._k3s import datastore, paths
from ._k3s.api import Identity
from ._k3s.errors import K3sError

CREDENTIALS = Path("/etc/holdfast/k3s/etcd")
FULL = re.compile(r"^K10[0-9a-f]{64}::[a-z]+:")
SETTLE_SECONDS = 20.0
CALL_SECONDS = 60.0


def password(token: str) -> str:
    """What of a token encrypts the data: all of a short one, the end of a full one."""
    return FULL.sub("", token.strip())


def digest(token: str) -> str:
    """The first twelve digits of its SHA-256, which name the datastore's key."""
    return hashlib.sha256(password(token).encode()).hexdigest()[:12]


class Rotation:
    """From one token to another, asked on a server."""

    def __init__(self, token: str, new_token: str, endpoints: Sequence[str]) -> None:
        self._token = password(token)
        self._new = password(new_token)
        self._endpoints = tuple(endpoints)
        self._who = Identity(*(CREDENTIALS / name for name in ("ca.crt", "client.crt", "client.key")))

    def wanted(self) -> bool:
        """Whether the old token still counts; refused where neither of the two does."""
        if self._counts(self._new):
            return False
        if self._counts(self._token):
            return True
        raise K3sError(
            "the datastore does not answer, or holds a cluster that was made with another token than the one that the "
            "controller keeps. Nothing was changed. Put the right k3s-token into the secrets, then run this again"
        )

    def run(self) -> None:
        """Ask the server of this node, and see in the datastore that it was done."""
        status, said = self._ask()
        if status // 100 != 2:
            raise K3sError(
                f"the server did not take the new token ({status}: {said[:200]}). The old one still counts, and "
                "nothing else was changed. See `journalctl -u k3s`, then run this again"
            )
        ends = time.monotonic() + SETTLE_SECONDS
        while not self._counts(self._new):
            if time.monotonic() > ends:
                raise K3sError(
                    f"the server took the new token, and {SETTLE_SECONDS:.0f} s later the datastore is not encrypted "
                    "with it. No server was restarted. Run this again: it sees which token counts"
                )
            time.sleep(0.5)

    def _counts(self, token: str) -> bool:
        return datastore.look(self._endpoints, self._who, digest(token)).cluster == "ours"

    def _ask(self) -> tuple[int, str]:
        context = ssl.create_default_context(cafile=f"{paths.SERVER_TLS}/server-ca.crt")
        connection = http.client.HTTPSConnection(
            "127.0.0.1", paths.SUPERVISOR_PORT, timeout=CALL_SECONDS, context=context
        )
        login = base64.b64encode(f"server:{self._token}".encode()).decode()
        try:
            connection.request(
                "PUT", "/v1-k3s/token", json.dumps({"newToken": self._new}), {"Authorization": f"Basic {login}"}
            )
            response = connection.getresponse()
            return response.status, response.read().decode("utf-8", "replace").strip()
        except (OSError, http.client.HTTPException) as error:
            raise K3sError(
                f"the server of this node does not answer ({error}). Nothing is known to be changed; run this again"
            ) from error
        finally:
            connection.close()
