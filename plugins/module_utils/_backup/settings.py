# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a node must know to make backups by itself: one file, read by modules and by the timer's service."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from .errors import BackupError

SETTINGS = "/etc/holdfast/backup/settings.json"


@dataclass(frozen=True)
class Settings:
    """All but the store's secret key is harmless: sealing needs public keys only."""

    site: str
    node: str
    # Every node of the site and its address, for the manifest.
    nodes: Mapping[str, str]
    recipients: tuple[str, ...]
    # The identity sealed with Ansible Vault, where no recipient was named; every backup takes it along.
    identity_vault: str = ""
    folder: Path = Path("/var/lib/holdfast/backups")
    work: Path = Path("/run/holdfast-backup")
    keep: int = 7
    reserve_mb: int = 512
    age: str = "/usr/local/bin/age"
    etcdctl: str = "/usr/local/bin/etcdctl"
    etcdutl: str = "/usr/local/bin/etcdutl"
    k3s: str = "/usr/local/bin/k3s"
    endpoints: tuple[str, ...] = ()
    # Folders that may hold ca.crt, client.crt and client.key for etcd; the first that does is taken.
    pki: tuple[str, ...] = ("/etc/holdfast/etcd/pki", "/etc/holdfast/k3s/etcd")
    k3s_data: Path = Path("/var/lib/rancher/k3s")
    configuration: tuple[str, ...] = ("/etc/rancher/k3s", "/etc/holdfast")
    store: Mapping[str, str] = field(default_factory=dict)
    store_required: bool = False

    @classmethod
    def parse(cls, data: Mapping[str, Any], where: object = SETTINGS) -> Settings:
        known = {entry.name: entry for entry in fields(cls)}
        unknown = sorted(set(data) - set(known))
        missing = [name for name in ("site", "node", "nodes", "recipients") if not data.get(name)]
        if unknown or missing:
            said = [f"{name} is unknown" for name in unknown] + [f"{name} is missing" for name in missing]
            raise BackupError(f"{where}: {', '.join(said)}. Run site.yml, which writes it.")
        return cls(**{name: _as(str(known[name].type), value) for name, value in data.items()})

    @classmethod
    def read(cls, path: Path) -> Settings:
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise BackupError(f"{path} is not there, so this node makes no backups yet. Run site.yml.") from error
        except (OSError, ValueError) as error:
            raise BackupError(f"{path} cannot be read ({error}). Run site.yml, which writes it.") from error
        return cls.parse(data, path)


def _as(kind: str, value: Any) -> Any:
    if kind == "Path":
        return Path(value)
    if kind.startswith("tuple"):
        return tuple(str(item) for item in value)
    if kind.startswith("Mapping"):
        return {str(key): str(item) for key, item in value.items()}
    return {"int": int, "bool": bool}.get(kind, str)(value)
