# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a node has of etcd: program, unit, data, files, certificates, and the cluster as it can be seen from here."""

from __future__ import annotations

import hashlib
import json
import platform
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .._certificate import Certificate, read_all, reason_to_renew
from .._disk import link_target
from .._listening import listening
from .._node import free_space
from .client import Credentials
from .cluster import Cluster, client_url, look, problems
from .errors import EtcdError

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
PROGRAMS = Path("/usr/local/lib/holdfast/etcd")
SETTINGS = Path("/etc/holdfast/etcd")
UNIT_FILE = Path("/etc/systemd/system/etcd.service")
UNIT = "etcd.service"
TOOLS = ("etcdctl", "etcdutl")
# The unit copies there what it starts with.
STARTED = Path("/run/holdfast-etcd")
KINDS = ("server", "peer", "client")
PORTS = ("2379", "2380", "2381")
# These lines count only when a member starts for the first time.
FIRST_START = "initial-cluster"

Command = Callable[[Sequence[str]], str]


@dataclass(frozen=True)
class Wanted:
    """What this node should be: its name, all members (name → address), the names in its certificates."""

    name: str
    members: Mapping[str, str]
    names: tuple[str, ...] = ()
    renew_share: float = 0.3
    files: tuple[str, ...] = ()
    data_path: str = "/var/lib/etcd"


@dataclass(frozen=True)
class Unit:
    """What systemd says of the unit."""

    exists: bool
    active: str
    sub: str
    enabled: bool
    pid: int

    @property
    def runs(self) -> bool:
        return self.pid > 0 and self.active in ("active", "activating", "reloading")


@dataclass(frozen=True)
class Look:
    """One look at a node. `state` is blank, stopped or running."""

    name: str
    architecture: str
    state: str
    installed: str
    previous: str
    unlinked: list[str]
    running: str
    free_mb: int
    unit: Unit
    facts: dict[str, Any]
    files: dict[str, str]
    config: str
    restart: str
    certificates: dict[str, dict[str, Any]]
    authority: str
    cluster: dict[str, Any] | None
    # What no run may go on with, and all that is wrong, those included.
    faults: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def run(command: Sequence[str]) -> str:
    """What a command prints; nothing where it cannot be run."""
    try:
        done = subprocess.run(list(command), capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout


def look_at_node(wanted: Wanted, command: Command = run, root: Path = Path("/")) -> Look:
    """Everything in one look; nothing is changed."""
    now = time.time()
    unit = parse_unit(
        command(("systemctl", "show", "--property=LoadState,ActiveState,SubState,UnitFileState,MainPID", UNIT))
    )
    has_data = (root / wanted.data_path.lstrip("/") / "member").is_dir()
    pki = _in(root, SETTINGS) / "pki"
    authorities = read_all(pki / "ca.crt")
    cluster = see_cluster(wanted.members, wanted.name, Credentials(pki))
    ports = listening(root / "proc")
    faults = [
        f"port {port}, which etcd needs, is taken by {ports[port]}; stop that, or move it to another port"
        for port in PORTS
        if ports.get(port, UNIT) != UNIT
    ]
    facts = read_facts(_in(root, SETTINGS) / "facts.json")
    if has_data and not facts:
        faults.append(
            f"{wanted.data_path} holds data that this role did not make; move it away, or "
            f"restore a backup with playbooks/restore.yml"
        )
    if unit.runs and not facts:
        faults.append("an etcd.service runs that this role did not start; stop it and take it away, with its data")
    certificates = _certificates(pki, wanted, authorities, now)
    state = "running" if unit.runs and has_data else "stopped" if has_data else "blank"
    wrong = [
        f"its {kind} certificate is due: {one['reason']}"
        for kind, one in certificates.items()
        if one["due"] and has_data
    ]
    if state == "stopped":
        wrong.append(f"etcd does not run ({unit.active}, {unit.sub}); see journalctl -u etcd, then run site.yml again")
    return Look(
        name=wanted.name,
        architecture=ARCHITECTURES.get(platform.machine(), platform.machine()),
        state=state,
        installed=_version(link_target(_in(root, PROGRAMS) / "current")),
        previous=_version(link_target(_in(root, PROGRAMS) / "previous")),
        unlinked=unlinked(root),
        running=_running_version(root, unit),
        free_mb=free_space(root / wanted.data_path.lstrip("/")),
        unit=unit,
        facts=facts,
        files={path: digest(root / path.lstrip("/")) for path in wanted.files},
        config=config_digest(_in(root, SETTINGS) / "etcd.yml"),
        restart=_reason_to_restart(root, unit),
        certificates=certificates,
        authority=_text(pki / "ca.crt"),
        cluster=cluster.as_dict() if cluster else None,
        faults=faults,
        problems=[*faults, *wrong, *(problems(cluster, wanted.members) if cluster else [])],
    )


def unlinked(root: Path) -> list[str]:
    """The tools whose names do not lead to the current version."""
    names = [f"/usr/local/bin/{tool}" for tool in TOOLS]
    return [name for name in names if link_target(root / name.lstrip("/")) != f"{PROGRAMS}/current/{Path(name).name}"]


def see_cluster(
    members: Mapping[str, str], name: str, credentials: Credentials, seconds: float = 3.0
) -> Cluster | None:
    """The cluster as this node or, where it does not answer, the others tell it; None where nobody can be asked."""
    if not credentials.complete:
        return None
    try:
        context = credentials.context()
    except EtcdError:
        return None
    others = [address for member, address in members.items() if member != name]
    return look([client_url("127.0.0.1"), *(client_url(address) for address in others)], context, seconds)


def parse_unit(text: str) -> Unit:
    values = dict(line.partition("=")[::2] for line in text.splitlines() if "=" in line)
    return Unit(
        exists=values.get("LoadState") == "loaded",
        active=values.get("ActiveState", "unknown"),
        sub=values.get("SubState", "unknown"),
        enabled=values.get("UnitFileState") == "enabled",
        pid=int(values["MainPID"]) if values.get("MainPID", "").isdigit() else 0,
    )


def read_facts(path: Path) -> dict[str, Any]:
    """What earlier runs wrote down about this node."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def digest(path: Path) -> str:
    """The SHA-256 of a file; empty where there is none."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""


def config_digest(path: Path) -> str:
    """The SHA-256 of the configuration without the lines that count at a first start only."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    except OSError:
        return ""
    return hashlib.sha256("".join(line for line in lines if not line.startswith(FIRST_START)).encode()).hexdigest()


def _reason_to_restart(root: Path, unit: Unit) -> str:
    """What differs between the files on the disk and those that the process was started with."""
    if not unit.runs:
        return ""
    started = _in(root, STARTED)
    if config_digest(started / "etcd.yml") != config_digest(_in(root, SETTINGS) / "etcd.yml"):
        return "it runs with an older configuration"
    if digest(started / UNIT_FILE.name) != digest(_in(root, UNIT_FILE)):
        return "it was started by an older unit"
    # Their order only tells which of them signs.
    if _fingerprints(started / "ca.crt") != _fingerprints(_in(root, SETTINGS) / "pki/ca.crt"):
        return "it trusts other authorities than it should"
    return ""


def _fingerprints(path: Path) -> set[str]:
    return {certificate.sha256 for certificate in read_all(path)}


def _certificates(
    pki: Path, wanted: Wanted, authorities: Sequence[Certificate], now: float
) -> dict[str, dict[str, Any]]:
    names = frozenset(wanted.names)
    found = {}
    for kind in KINDS:
        chain = read_all(pki / f"{kind}.crt")
        own = frozenset() if kind == "client" else names
        reason = reason_to_renew(chain, (pki / f"{kind}.key").is_file(), own, authorities, wanted.renew_share, now)
        days = round(chain[0].days_left(now), 1) if chain else 0.0
        found[kind] = {"exists": bool(chain), "days_left": days, "due": bool(reason), "reason": reason}
    if authorities:
        days = round(authorities[0].days_left(now), 1)
        found["ca"] = {"exists": True, "days_left": days, "due": False, "reason": ""}
    return found


def _running_version(root: Path, unit: Unit) -> str:
    return _version(link_target(root / f"proc/{unit.pid}/exe"), parent=True) if unit.runs else ""


def _version(target: str | None, parent: bool = False) -> str:
    if not target:
        return ""
    path = Path(target.removesuffix(" (deleted)"))
    return path.parent.name if parent else path.name


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError:
        return ""


def _in(root: Path, path: Path) -> Path:
    return root / path.relative_to("/")
