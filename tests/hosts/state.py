# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is written down about a set of hosts, before anything of it is made."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from ipaddress import IPv4Network
from pathlib import Path

from .files import write_atomically
from .model import Host, HostsError, HostSet, Sizing
from .networks import UsedNetwork
from .paths import sets_root

MAKING = "making"
READY = "ready"


@dataclass(frozen=True)
class Record:
    """A set, what each host gets, and how far its making got."""

    host_set: HostSet
    sizing: Sizing
    distribution: str
    stage: str


def directory(name: str) -> Path:
    """Return the folder of that set, whether it is there or not."""
    return sets_root() / name


def save(record: Record) -> None:
    """Write the record; a reader sees the old one or the new one, also after a power cut."""
    host_set = record.host_set
    data = {
        "name": host_set.name,
        "tier": host_set.tier,
        "network": host_set.network,
        "hosts": [asdict(host) for host in host_set.hosts],
        "sizing": asdict(record.sizing),
        "distribution": record.distribution,
        "stage": record.stage,
    }
    write_atomically(host_set.directory / "set.json", json.dumps(data, indent=2) + "\n")


def load(name: str) -> Record | None:
    """Read the record of that set; nothing when there is none."""
    folder = directory(name)
    path = folder / "set.json"
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        return Record(
            host_set=HostSet(
                name=str(data["name"]),
                tier=str(data["tier"]),
                network=str(data["network"]),
                hosts=tuple(Host(**host) for host in data["hosts"]),
                directory=folder,
                key=folder / "id_ed25519",
            ),
            sizing=Sizing(**data["sizing"]),
            distribution=str(data["distribution"]),
            stage=str(data["stage"]),
        )
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as error:
        raise HostsError(
            f"{name}: its record {path} cannot be read ({error}). If it was edited, put it right; "
            f"'down {name}' removes the set all the same."
        ) from error


def names() -> list[str]:
    """Return the names of all sets that are written down."""
    return sorted(path.parent.name for path in sets_root().glob("*/set.json"))


def reserved_networks(but_for: str) -> list[UsedNetwork]:
    """Return the networks that other sets have reserved, whether they are up or not."""
    found = []
    for name in names():
        if name == but_for:
            continue
        try:
            record = load(name)
        except HostsError:
            # A record that cannot be read reserves nothing that we could name; its network is seen in the kernel.
            continue
        if record is not None:
            found.append(UsedNetwork(IPv4Network(record.host_set.network), f"the set {name}"))
    return found


def forget(name: str) -> None:
    """Remove the set's folder; its record goes last, so that an interrupted removal is finished by the next."""
    folder = directory(name)
    if not folder.exists():
        return
    for path in folder.iterdir():
        if path.name == "set.json":
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    (folder / "set.json").unlink(missing_ok=True)
    folder.rmdir()
