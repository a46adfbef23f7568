# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""One look at k3s on a node: what is there, how it differs from what is wanted, and what is wrong."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from .._node_files import digests
from . import api, archives, certificates, datastore, journal, node_object, paths
from .commands import Run, run
from .unit import Started, Unit, read_started
from .unit import look as look_at_unit

LEAST_DAYS = 30
SHARE_LEFT = 0.3
JOINED_BY = re.compile(r"^server: ['\"]?(https://[^\s'\"]+)", re.MULTILINE)


@dataclass(frozen=True)
class Question:
    """What is wanted of this node. Empty means: do not compare that."""

    kind: str
    name: str
    version: str = ""
    files: Sequence[Mapping[str, Any]] = ()
    images: Sequence[Mapping[str, Any]] = ()
    node: node_object.Wish = field(default_factory=node_object.Wish)
    # The other servers, name → address; the node itself may be among them.
    servers: Mapping[str, str] = field(default_factory=dict)
    etcd_endpoints: Sequence[str] = ()
    etcd: api.Identity | None = None
    # With what a member of the datastore may ask itself, for a server that has no certificate of its own yet.
    etcd_before: api.Identity | None = None
    # The key identifier of the authority that signs for the datastore now.
    etcd_signer: str = ""
    token_digest: str = ""
    secrets_encryption: bool | None = None


@dataclass(frozen=True)
class Server:
    """Another server as this node sees it."""

    address: str
    answers: bool
    ready: bool
    said: str = ""
    version: str = ""


@dataclass(frozen=True)
class Look:
    """All that was seen; `result` makes of it what the module returns."""

    question: Question
    unit: Unit
    started: Started
    installed: str
    blank: bool
    joined_by: str
    files_differ: tuple[str, ...]
    restart_for: tuple[str, ...]
    images_missing: tuple[str, ...]
    images_old: tuple[str, ...]
    images_lost: tuple[str, ...]
    nodes: Mapping[str, node_object.Facts]
    node_patch: Mapping[str, Any]
    readyz: api.Answer
    servers: Mapping[str, Server]
    datastore: datastore.Datastore
    datastore_certificate_due: bool
    datastore_authority: str
    certificates: Sequence[certificates.Certificate]
    encrypted: bool | None
    password_file: bool
    password_secret: bool | None
    said: Sequence[str]

    @property
    def node(self) -> node_object.Facts | None:
        return self.nodes.get(self.question.name)


def look(question: Question, root: Path = Path("/"), ask: Run = run, now: float = 0.0) -> Look:
    """Read everything that this node knows."""
    service = look_at_unit(paths.UNITS[question.kind], ask)
    started = read_started(root / paths.STARTED.lstrip("/")) if service.runs else Started()
    here = api.local(question.kind, root) if service.runs else None
    nodes, patch = _nodes(here, question)
    tls = tuple(root / folder.lstrip("/") for folder in (paths.SERVER_TLS, paths.AGENT))
    moment = now or time.time()
    return Look(
        question=question,
        unit=service,
        started=started,
        installed=installed(root),
        blank=blank(root, service),
        joined_by=joined_by(root),
        files_differ=tuple(digests.differing(question.files, root)),
        restart_for=tuple(_restart_for(question, service, started)),
        images_missing=tuple(archives.missing(question.images, root)),
        images_old=tuple(archives.old(question.images, root)),
        images_lost=_images_lost(question, nodes, root, service, moment),
        nodes=nodes,
        node_patch=patch,
        readyz=here.get("/readyz?verbose") if here else api.Answer(0, "k3s does not run"),
        servers=_servers(question, root),
        datastore=_datastore(question),
        datastore_certificate_due=_certificate_due(question, moment),
        datastore_authority=_authority(question),
        certificates=certificates.below(tls, moment),
        encrypted=_encrypted(question.kind, root),
        password_file=(root / paths.NODE_PASSWORD.lstrip("/")).is_file(),
        password_secret=_password_secret(here, question),
        said=journal.lines(service.name, ask, service.started_at)
        if service.exists and not _is_ready(nodes, question)
        else (),
    )


def installed(root: Path) -> str:
    """The version that the program's link leads to; `foreign` for a program not brought by Holdfast, empty without."""
    link = root / paths.PROGRAM.lstrip("/")
    if not link.exists():
        return ""
    parts = link.resolve().parts
    return parts[-2] if len(parts) > 3 and parts[-3] == "k3s" and parts[-4] == "holdfast" else "foreign"


def blank(root: Path, service: Unit) -> bool:
    """Whether k3s never ran here: no service, no identity, no data."""
    traces = (paths.NODE_PASSWORD, f"{paths.AGENT}/client-kubelet.key", f"{paths.SERVER_TLS}/server-ca.key")
    return not service.runs and not any((root / path.lstrip("/")).exists() for path in traces)


def joined_by(root: Path) -> str:
    """The server that this agent's configuration names; empty for a server."""
    try:
        text = (root / paths.CONFIG.lstrip("/")).read_text(encoding="utf-8")
    except OSError:
        return ""
    found = JOINED_BY.search(text)
    return found.group(1) if found else ""


def _nodes(here: api.Api | None, question: Question) -> tuple[dict[str, node_object.Facts], dict[str, Any]]:
    if here is None:
        return {}, {}
    # A kubelet may read its own Node only, an administrator all of them.
    path = "/api/v1/nodes" + ("" if question.kind == "server" else f"/{question.name}")
    answer = here.get(path)
    if not answer.good:
        return {}, {}
    document = answer.json()
    items = {item["metadata"]["name"]: item for item in document.get("items", [document])}
    own = items.get(question.name)
    # A drain of ours that nobody ended, because the run was killed, is ended by the next one.
    patch = node_object.patch(own, replace(question.node, cordoned=False)) if own else {}
    return {name: node_object.facts(item) for name, item in items.items()}, patch


def _is_ready(nodes: Mapping[str, node_object.Facts], question: Question) -> bool:
    own = nodes.get(question.name)
    return own is not None and own.ready


def _restart_for(question: Question, service: Unit, started: Started) -> list[str]:
    """What the running process was not started with: a version, or files by their paths."""
    if not service.runs:
        return []
    wanted = {item["path"]: item.get("sha256", "") for item in question.files if item.get("restart")}
    changed = sorted(path for path, digest in wanted.items() if started.digests.get(path, "") != digest)
    other = question.version and started.version != question.version
    return [*([f"version {question.version}"] if other else []), *changed]


def _images_lost(
    question: Question, nodes: Mapping[str, node_object.Facts], root: Path, service: Unit, now: float
) -> tuple[str, ...]:
    own = nodes.get(question.name)
    settled = now - archives.SETTLED_SECONDS
    if own is None or not own.ready or service.started_at > settled:
        return ()
    return tuple(archives.lost(question.images, own.images, root, settled))


def _servers(question: Question, root: Path) -> dict[str, Server]:
    others = {name: address for name, address in question.servers.items() if name != question.name}
    if not others:
        return {}
    who = api.identity(question.kind, root)
    with ThreadPoolExecutor(max_workers=len(others)) as pool:
        seen = pool.map(lambda address: _server(address, who if who.complete else None), others.values())
        return dict(zip(others, seen))


def _server(address: str, who: api.Identity | None) -> Server:
    ping = api.Api(address, paths.SUPERVISOR_PORT, None, 3.0).get("/ping")
    if ping.status != 200 or who is None:
        return Server(address, ping.status == 200, False, ping.body.strip()[:160])
    server = api.Api(address, paths.SUPERVISOR_PORT, who, 4.0)
    readyz, version = server.get("/readyz"), server.get("/version")
    runs = str(version.json().get("gitVersion", "")).lstrip("v") if version.good else ""
    return Server(address, True, readyz.status == 200, readyz.body.strip()[-160:], runs)


def _datastore(question: Question) -> datastore.Datastore:
    if question.etcd is None:
        return datastore.Datastore()
    before = question.etcd_before
    who = before if before and before.complete and not question.etcd.complete else question.etcd
    return datastore.look(question.etcd_endpoints, who, question.token_digest)


def _certificate_due(question: Question, now: float) -> bool:
    """Whether the certificate for the datastore is missing, near its end, or of an authority that will be forgotten."""
    if question.etcd is None:
        return False
    found = certificates.read(question.etcd.certificate, now) if question.etcd.complete else None
    if found is None or found.share_left < SHARE_LEFT:
        return True
    return question.etcd_signer not in ("", found.signer_key)


def _authority(question: Question) -> str:
    """Whom the datastore trusts, as a member on this node has it, else as this server does; empty before both."""
    for who in (question.etcd_before, question.etcd):
        if who and who.authority.is_file():
            return who.authority.read_text(encoding="utf-8")
    return ""


def _encrypted(kind: str, root: Path) -> bool | None:
    """Whether this server encrypts secrets; None where it is not a server yet."""
    if kind != "server" or not (root / paths.SERVER_TLS.lstrip("/") / "server-ca.crt").is_file():
        return None
    return (root / paths.ENCRYPTION_CONFIG.lstrip("/")).is_file()


def _password_secret(here: api.Api | None, question: Question) -> bool | None:
    if here is None or question.kind != "server":
        return None
    status = here.get(f"/api/v1/namespaces/kube-system/secrets/{question.name}.node-password.k3s").status
    return {200: True, 404: False}.get(status)
