# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which files of a node belong into a backup: what a site cannot be made again without, and what helps to read it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .errors import BackupError
from .settings import Settings
from .shape import File

# Below <data>/server; k3s keeps the same files in the datastore, sealed with the token.
K3S_STATE = (
    *("tls/server-ca.crt", "tls/server-ca.key", "tls/client-ca.crt", "tls/client-ca.key"),
    *("tls/request-header-ca.crt", "tls/request-header-ca.key", "tls/service.key"),
    *("tls/etcd/server-ca.crt", "tls/etcd/server-ca.key", "tls/etcd/peer-ca.crt", "tls/etcd/peer-ca.key"),
    *("cred/passwd", "cred/ipsec.psk", "cred/encryption-config.json", "cred/encryption-state.json"),
)
TOKENS = ("token", "agent-token")
NODE_PASSWORD = Path("/etc/rancher/node/password")
# A file of configuration that is larger is no configuration.
LARGEST = 4 << 20
_LEFT_OUT = (".key", ".pem", ".bak", ".db")


@dataclass(frozen=True)
class Content:
    """A small file as it was read."""

    file: File
    data: bytes


def content(path: str, data: bytes, mode: int = 0o600, mtime: float = 0.0, source: str = "") -> Content:
    return Content(File(path, len(data), hashlib.sha256(data).hexdigest(), mode, mtime, source), data)


def collect(settings: Settings) -> list[Content]:
    """Everything but the snapshot; a node without a k3s server has no token and thus cannot make a backup."""
    server = settings.k3s_data / "server"
    found = [item for name in TOKENS if (item := _read(server / name, f"k3s/{name}"))]
    if not any(item.file.path == "k3s/token" for item in found):
        raise BackupError(
            f"{settings.node} has no {server}/token, and a backup without the token of its site opens nothing. Run "
            "this on a server whose k3s has been started once."
        )
    found += [item for name in K3S_STATE if (item := _read(server / name, f"k3s/server/{name}"))]
    if password := _read(NODE_PASSWORD, "k3s/node-password"):
        found.append(password)
    found += _configuration(settings)
    return found


def _configuration(settings: Settings) -> Iterator[Content]:
    for root in map(Path, settings.configuration):
        for path in sorted(root.rglob("*")):
            # Keys of leaf certificates are made again, never restored; a node has its own.
            if (
                path.is_file()
                and not path.is_symlink()
                and path.suffix not in _LEFT_OUT
                and path.stat().st_size <= LARGEST
            ):
                item = _read(path, f"configuration{path}")
                if item:
                    yield item


def _read(path: Path, name: str) -> Content | None:
    try:
        status = path.stat()
        return content(name, path.read_bytes(), status.st_mode & 0o777, status.st_mtime, str(path))
    except (FileNotFoundError, NotADirectoryError):
        return None
