# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The datastore of a site as a test sees it: a client like a member's own, and a steady stream of writes."""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ansible_collections.holdfast.edge.plugins.module_utils._etcd.client import Client, Credentials
from ansible_collections.holdfast.edge.plugins.module_utils._etcd.cluster import Cluster, look
from ansible_collections.holdfast.edge.plugins.module_utils._etcd.errors import EtcdError

from tests.hosts import Host
from tests.site import Site

PLAYBOOK = "tests/integration/playbooks/etcd.yml"
PKI = "/etc/holdfast/etcd/pki"
WRITE_SECONDS = 0.05


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


class Datastore:
    """Asks the members from the controller, each time over a connection of its own."""

    def __init__(self, site: Site, folder: Path) -> None:
        self._site = site
        self._credentials = Credentials(folder)
        self.urls = [f"https://{host.address}:2379" for host in site.servers]

    def fetch(self, host: Host) -> None:
        """Take over the client certificate of a member; no other test program signs one."""
        self._credentials.folder.mkdir(exist_ok=True)
        for name in ("ca.crt", "client.crt", "client.key"):
            (self._credentials.folder / name).write_text(self._site.ssh(host, f"cat {PKI}/{name}"), encoding="utf-8")

    def ask(self, path: str, body: dict[str, Any], url: str = "", seconds: float = 5.0) -> dict[str, Any]:
        return Client(url or self.urls[0], self._credentials.context(), seconds).ask(path, body)

    def put(self, key: str, value: str, url: str = "", seconds: float = 5.0) -> None:
        self.ask("/v3/kv/put", {"key": encoded(key), "value": encoded(value)}, url, seconds)

    def keys(self, prefix: str) -> set[str]:
        until = prefix[:-1] + chr(ord(prefix[-1]) + 1)
        question = {"key": encoded(prefix), "range_end": encoded(until), "keys_only": True}
        found = self.ask("/v3/kv/range", question, seconds=20.0).get("kvs", [])
        return {base64.b64decode(entry["key"]).decode() for entry in found}

    def look(self) -> Cluster:
        cluster = look(self.urls, self._credentials.context())
        assert cluster is not None, "no member answers"
        return cluster

    def await_whole(self, seconds: float = 60.0) -> Cluster:
        deadline = time.monotonic() + seconds
        while True:
            cluster = look(self.urls, self._credentials.context())
            if cluster and all(member.healthy for member in cluster.members) and len(cluster.voters) == len(self.urls):
                return cluster
            assert time.monotonic() < deadline, f"not whole after {seconds:.0f} s: {cluster}"
            time.sleep(0.3)

    @contextmanager
    def written_to(self, prefix: str) -> Iterator[Writes]:
        """Write all the time, in turn through every member; what one refuses is given to the next."""
        writes = Writes(prefix)
        done = threading.Event()
        writer = threading.Thread(target=self._write, args=(writes, done), daemon=True)
        writer.start()
        try:
            yield writes
        finally:
            done.set()
            writer.join(timeout=30)

    def _write(self, writes: Writes, done: threading.Event) -> None:
        last, number = time.monotonic(), 0
        while not done.is_set():
            number += 1
            url = self.urls[number % len(self.urls)]
            key = f"{writes.prefix}{number:06d}"
            try:
                self.put(key, "x" * 100, url, seconds=3.0)
            except EtcdError as error:
                writes.refused.append(str(error))
                continue
            now = time.monotonic()
            writes.acknowledged.append(key)
            writes.longest_gap = max(writes.longest_gap, now - last)
            last = now
            done.wait(WRITE_SECONDS)


@dataclass
class Writes:
    """What came of a stream of writes; gaps in seconds."""

    prefix: str
    acknowledged: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    longest_gap: float = 0.0

    def lost(self, datastore: Datastore) -> set[str]:
        """What was acknowledged and is not there."""
        return set(self.acknowledged) - datastore.keys(self.prefix)
