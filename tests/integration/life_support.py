# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of a site's life share: a client of its API, and writes of which none may be lost."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.hosts import Host
from tests.playbook import Run
from tests.site import Site

CALL_SECONDS = 4.0
PAUSE_SECONDS = 0.2
MAPS = "/api/v1/namespaces/default/configmaps"


class Client:
    """An administrator of the site, who turns to the next server when one does not answer."""

    def __init__(self, addresses: Sequence[str], kubeconfig: str, folder: Path) -> None:
        self._addresses = list(addresses)
        config = yaml.safe_load(kubeconfig)
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        pair = folder / "admin.pem"
        pair.touch(mode=0o600)
        pair.write_bytes(
            base64.b64decode(user["client-certificate-data"]) + b"\n" + base64.b64decode(user["client-key-data"])
        )
        self._context = ssl.create_default_context(cadata=authority)
        self._context.load_cert_chain(str(pair))

    def ask(self, method: str, path: str, body: Any = None, kind: str = "application/json") -> tuple[int, Any]:
        """The first answer that a server gives; status 0 where none does."""
        for _address in list(self._addresses):
            connection = http.client.HTTPSConnection(
                self._addresses[0], 6443, timeout=CALL_SECONDS, context=self._context
            )
            try:
                connection.request(method, path, json.dumps(body) if body is not None else None, {"Content-Type": kind})
                answer = connection.getresponse()
                content = answer.read()
                if answer.status < 500:
                    return answer.status, json.loads(content)
            except (OSError, http.client.HTTPException, ValueError):
                pass
            finally:
                connection.close()
            self._addresses.append(self._addresses.pop(0))
        return 0, None

    def get(self, path: str) -> Any:
        """What must be there."""
        status, found = self.ask("GET", path)
        assert status == 200, f"{path}: {status} {found}"
        return found

    def names(self, path: str) -> set[str]:
        return {item["metadata"]["name"] for item in self.get(path)["items"]}

    def ready_versions(self) -> dict[str, str]:
        """The version of each node that is Ready and takes pods."""
        return {
            node["metadata"]["name"]: node["status"]["nodeInfo"]["kubeletVersion"]
            for node in self.get("/api/v1/nodes")["items"]
            if not node["spec"].get("unschedulable")
            for condition in node["status"]["conditions"]
            if condition["type"] == "Ready" and condition["status"] == "True"
        }


@dataclass
class Writer:
    """Writes one small object after the other; what was acknowledged must be there at the end."""

    client: Client
    acknowledged: list[str] = field(default_factory=list)
    failed: int = 0
    longest_gap: float = 0.0

    def run(self, stop: threading.Event) -> None:
        number, last = 0, time.monotonic()
        while not stop.is_set():
            name = f"write-{number:05d}"
            status, _ = self.client.ask("POST", MAPS, {"metadata": {"name": name}, "data": {"number": str(number)}})
            # 409: it was written before, and only the answer was lost.
            if status in (201, 409):
                number += 1
                self.acknowledged.append(name)
                now = time.monotonic()
                self.longest_gap, last = max(self.longest_gap, now - last), now
            else:
                self.failed += 1
            stop.wait(PAUSE_SECONDS)

    def lost(self) -> set[str]:
        return set(self.acknowledged) - self.client.names(MAPS)


@contextmanager
def writing(client: Client) -> Iterator[Writer]:
    """A constant load of writes for as long as the block runs."""
    writer, stop = Writer(client), threading.Event()
    thread = threading.Thread(target=writer.run, args=(stop,), daemon=True)
    thread.start()
    try:
        yield writer
    finally:
        stop.set()
        thread.join(timeout=30)


def client_of(site: Site, host: Host) -> Client:
    """A client with the administrator's credentials that this server keeps."""
    kubeconfig = site.ssh(host, "cat /etc/rancher/k3s/k3s.yaml")
    return Client([server.address for server in site.servers], kubeconfig, site.folder)


def changes(run: Run) -> int:
    return sum(run.changed.values())


def succeeds(run: Run) -> Run:
    assert run.rc == 0, "\n".join(run.failures) or run.stdout[-3000:]
    return run


def refused(run: Run, *words: str) -> None:
    """The run ended with a message that says all of these, and changed nothing."""
    assert run.rc != 0, "it was not refused"
    said = "\n".join(run.failures)
    assert [word for word in (*words, "Nothing was changed") if word not in said] == [], said
    assert changes(run) == 0


def screen(run: Run) -> str:
    """What status.yml showed."""
    return str(run.results("Show the site")[-1]["msg"])


def etcd_members(site: Site, host: Host) -> dict[str, str]:
    """The version and place of each member, as this host's member tells."""
    etcdctl = (
        "/usr/local/bin/etcdctl --endpoints=https://127.0.0.1:2379 --cacert=/etc/holdfast/etcd/pki/ca.crt "
        "--cert=/etc/holdfast/etcd/pki/client.crt --key=/etc/holdfast/etcd/pki/client.key"
    )
    listed = json.loads(site.ssh(host, f"{etcdctl} member list -w json"))["members"]
    return {member.get("name", ""): "learner" if member.get("isLearner") else "voter" for member in listed}
