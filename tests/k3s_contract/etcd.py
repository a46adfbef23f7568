# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""An etcd of one or three members with client certificates, on one host, for k3s to keep its data in."""

from __future__ import annotations

import base64
import datetime
import json
import shlex
from pathlib import Path

from tests.integration.kubernetes_certificates import Authority, Credentials
from tests.integration.kubernetes_remote import Content, Remote, wait_until

PROGRAMS = "/opt/store"
EXPIRED = datetime.timedelta(minutes=-1)
UNIT = """[Unit]
Description=datastore {name}
[Service]
Type=simple
ExecStart={command}
Restart=always
RestartSec=1s
[Install]
WantedBy=multi-user.target
"""


def bring_programs(remote: Remote, folder: Path) -> None:
    """Put etcd and its tools on the host."""
    remote.place({f"{PROGRAMS}/{name}": folder / name for name in ("etcd", "etcdctl", "etcdutl")})


class Store:
    """One etcd cluster; each has an authority, ports and folders of its own."""

    def __init__(self, remote: Remote, name: str, first_port: int, members: int = 1) -> None:
        self.remote = remote
        self.name = name
        self._authority = Authority()
        self._address = remote.host.address
        self._ports = [first_port + 2 * number for number in range(members)]
        self._folder = f"/var/lib/etcd/{name}"
        self._secrets = f"/etc/store/{name}"
        self.client = self._authority.issue("k3s")

    @property
    def urls(self) -> list[str]:
        """Return where each member answers clients."""
        return [f"https://{self._address}:{port}" for port in self._ports]

    @property
    def endpoint(self) -> str:
        """Return the value of datastore-endpoint."""
        return ",".join(self.urls)

    @property
    def authority(self) -> bytes:
        """Return the PEM of the authority that signed all members."""
        return self._authority.certificate

    def expired_client(self) -> Credentials:
        """Return a client certificate of the right authority whose time is over."""
        return self._authority.issue("k3s", lifetime=EXPIRED)

    def start(self) -> None:
        """Make the members anew and return when a write works."""
        server = self._authority.issue("etcd", names=[self._address, "127.0.0.1"])
        files: dict[str, Content] = {
            f"{self._secrets}/ca.crt": self.authority,
            f"{self._secrets}/server.crt": server.certificate,
            f"{self._secrets}/server.key": server.key,
            f"{self._secrets}/client.crt": self.client.certificate,
            f"{self._secrets}/client.key": self.client.key,
        }
        for number in range(len(self._ports)):
            text = UNIT.format(name=self.name, command=shlex.join(self._command(number)))
            files[f"/etc/systemd/system/{self._unit(number)}.service"] = text.encode()
        self.remote.run(f"systemctl stop 'store-{self.name}-*.service'; rm -rf {self._folder} {self._secrets}")
        self.remote.place(files)
        self.remote.run("systemctl daemon-reload")
        self.resume()

    def stop(self) -> None:
        """Take the whole store away, as a power cut of all its hosts would."""
        self.remote.run(f"systemctl kill -s KILL {self._units()}; systemctl stop {self._units()}")

    def resume(self) -> None:
        """Start all members and return when they answer."""
        self.remote.run(f"systemctl start {self._units()}")
        wait_until("the datastore is healthy", self._healthy, seconds=30)

    def control(self, arguments: str) -> str:
        """Run etcdctl there."""
        return self.remote.run(self._etcdctl(arguments))

    def keys(self, prefix: str) -> list[str]:
        """Return all keys that begin so."""
        return self.control(f"get --prefix --keys-only {shlex.quote(prefix)}").split()

    def value(self, key: str) -> bytes:
        """Return one key's value."""
        found = json.loads(self.control(f"get -w json {shlex.quote(key)}"))["kvs"]
        return base64.b64decode(found[0]["value"])

    def snapshot(self, path: str) -> None:
        """Save all data into a file on the store's host."""
        # A snapshot is taken from exactly one member.
        self.remote.run(self._etcdctl(f"snapshot save {path}", self.urls[0]))

    def restore(self, path: str) -> None:
        """Go back to a snapshot; only for a store of one member."""
        assert len(self._ports) == 1, "only a store of one member is restored here"
        self.remote.run(f"systemctl stop {self._units()}; rm -rf {self._data(0)}")
        peers = self._peer(0)
        self.remote.run(
            f"{PROGRAMS}/etcdutl snapshot restore {path} --data-dir {self._data(0)} --name m0 "
            f"--initial-cluster m0={peers} --initial-advertise-peer-urls {peers} "
            "--bump-revision 1000000 --mark-compacted"
        )
        self.resume()

    def _healthy(self) -> bool:
        return self.remote.attempt(self._etcdctl("endpoint health")).returncode == 0

    def _etcdctl(self, arguments: str, endpoints: str = "") -> str:
        files = f"--cacert={self._secrets}/ca.crt --cert={self._secrets}/client.crt --key={self._secrets}/client.key"
        return f"{PROGRAMS}/etcdctl --endpoints={endpoints or self.endpoint} {files} {arguments}"

    def _unit(self, number: int) -> str:
        return f"store-{self.name}-{number}"

    def _units(self) -> str:
        return " ".join(self._unit(number) for number in range(len(self._ports)))

    def _data(self, number: int) -> str:
        return f"{self._folder}/{number}"

    def _peer(self, number: int) -> str:
        return f"http://127.0.0.1:{self._ports[number] + 1}"

    def _command(self, number: int) -> list[str]:
        url, peer = self.urls[number], self._peer(number)
        every = ",".join(f"m{other}={self._peer(other)}" for other in range(len(self._ports)))
        return [
            f"{PROGRAMS}/etcd",
            f"--name=m{number}",
            f"--data-dir={self._data(number)}",
            f"--listen-client-urls={url}",
            f"--advertise-client-urls={url}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster={every}",
            f"--cert-file={self._secrets}/server.crt",
            f"--key-file={self._secrets}/server.key",
            f"--trusted-ca-file={self._secrets}/ca.crt",
            "--client-cert-auth",
            # No test here takes the power away from this host, and the disk is shared with all others.
            "--unsafe-no-fsync",
            "--log-level=warn",
        ]
