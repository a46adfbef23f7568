# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The external etcd as a server of k3s will meet it: is it healthy, and whose cluster is in it."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from .api import Api, Identity

BOOTSTRAP = "/bootstrap/"


@dataclass(frozen=True)
class Datastore:
    """`unhealthy` has the reason of each endpoint. `cluster` is none, ours, other, or unknown while nobody answered."""

    healthy: tuple[str, ...] = ()
    unhealthy: Mapping[str, str] = field(default_factory=dict)
    cluster: str = "unknown"

    @property
    def quorate(self) -> bool:
        return len(self.healthy) * 2 > len(self.healthy) + len(self.unhealthy)


def look(endpoints: Sequence[str], who: Identity, token_digest: str, seconds: float = 4.0) -> Datastore:
    """Ask every endpoint for its health (each answer needs a quorum), and one of them whose bootstrap data it has."""
    if not endpoints:
        return Datastore()
    if not who.complete:
        missing = [str(path) for path in (who.authority, who.certificate, who.key) if not Path(path).is_file()]
        return Datastore(unhealthy=dict.fromkeys(endpoints, f"{missing[0]} is missing on this node"))
    healthy: list[str] = []
    unhealthy: dict[str, str] = {}
    cluster = "unknown"
    for endpoint in endpoints:
        member = _member(endpoint, who, seconds)
        answer = member.get("/health")
        if answer.status == 200 and '"health":"true"' in answer.body.replace(" ", ""):
            healthy.append(endpoint)
            if cluster == "unknown":
                cluster = whose(_keys(member), token_digest)
        else:
            unhealthy[endpoint] = f"{answer.status or 'no answer'}: {answer.body.strip()[:120]}"
    return Datastore(tuple(healthy), unhealthy, cluster)


def whose(keys: Sequence[str] | None, token_digest: str) -> str:
    """Whose cluster these bootstrap keys are, compared with the first twelve digits of our token's SHA-256."""
    if keys is None or not token_digest:
        return "unknown"
    if not keys:
        return "none"
    return "ours" if BOOTSTRAP + token_digest in keys else "other"


def _member(endpoint: str, who: Identity, seconds: float) -> Api:
    parts = urlsplit(endpoint)
    return Api(parts.hostname or "", parts.port or 2379, who, seconds)


def _keys(member: Api) -> list[str] | None:
    """The names below /bootstrap/, asked of the gateway that every etcd has; None where it does not answer."""
    until = BOOTSTRAP[:-1] + chr(ord(BOOTSTRAP[-1]) + 1)
    question = {"key": _encoded(BOOTSTRAP), "range_end": _encoded(until), "keys_only": True}
    answer = member.ask("POST", "/v3/kv/range", question)
    if not answer.good:
        return None
    return [base64.b64decode(found["key"]).decode() for found in answer.json().get("kvs", [])]


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
