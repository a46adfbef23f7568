# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clients of the inference service on a site of `served.py`."""

from __future__ import annotations

import json
import re
import ssl
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from ansible_collections.holdfast.edge.plugins.module_utils._drill.client import Answer, Client
from ansible_collections.holdfast.edge.plugins.module_utils._drill.load import Load, ask_until
from ansible_collections.holdfast.edge.plugins.module_utils._drill.questions import Question

from tests.site import Site

from .served import VIP

PORT = 8443
ABOUT_NODES = re.compile(r"holdfast_gateway_node_(?:beating|ready)\{[^}]*\} 1\b")


def client_of(site: Site, silence_seconds: float = 2.0) -> Client:
    return Client(f"https://{VIP}:443", key_of(site), str(site.secrets / "inference-ca.crt"), silence_seconds, 60.0)


def key_of(site: Site) -> str:
    return (site.secrets / "inference-client-till").read_text(encoding="utf-8").strip()


def trust(site: Site) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=site.secrets / "inference-ca.crt")


def golden(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "golden.jsonl").read_text(encoding="utf-8").splitlines()]


def all_gateways_see_all_engines(site: Site) -> bool:
    """What the API says of engines is older than this by seconds."""
    headers = {"Authorization": f"Bearer {key_of(site)}"}
    with httpx.Client(verify=trust(site), headers=headers, timeout=3) as client:
        try:
            told = [client.get(f"https://{host.address}:{PORT}/metrics") for host in site.hosts]
        except httpx.TransportError:
            return False
    return all(one.status_code == 200 and len(ABOUT_NODES.findall(one.text)) == 2 * len(site.hosts) for one in told)


@contextmanager
def asked_all_the_while(client: Client, asked: Sequence[Question], load: Load) -> Iterator[list[Answer]]:
    """Clients that go on asking until the block ends; their answers are there then."""
    answers: list[Answer] = []
    end = threading.Event()
    asking = threading.Thread(target=ask_until, args=(client, asked, load, end.is_set, answers.append), daemon=True)
    asking.start()
    try:
        yield answers
    finally:
        end.set()
        asking.join(timeout=120)
        assert not asking.is_alive()
