# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""What an operator may set for a gateway: the table [gateway] beside the settings of the server in front of it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tomllib

from holdfast_inference.server.settings import Admission, Settings, SettingsError, read_section, settings_from


@dataclass(frozen=True)
class Kubernetes:
    """Where the site's list of nodes comes from. Everything but the service has a default inside a pod."""

    service: str
    namespace: str = ""
    """Empty: that of the pod."""
    url: str = ""
    """Empty: what the kubelet tells each pod."""
    account: Path = Path("/var/run/secrets/kubernetes.io/serviceaccount")
    """The folder with token, ca.crt and namespace; read again for each request, since tokens are exchanged."""
    port: str = "http"
    """The name of the endpoints' port; the one for heartbeats is named heartbeat."""
    scheme: str = "http"


@dataclass(frozen=True)
class GatewaySettings:
    """Which nodes there are, and how patient the gateway is with them."""

    nodes: dict[str, str] = field(default_factory=dict)
    """Those that need no list: names, and where they answer, such as http://10.0.0.1:8080."""
    models: dict[str, Path] = field(default_factory=dict)
    """A folder for each model, of which only the tokenizer is read here."""
    kubernetes: Kubernetes | None = None
    nodes_file: Path | None = None
    """The last list that Kubernetes gave; read at the start, so that a site comes up without its API."""
    backup: dict[str, str] = field(default_factory=dict)
    """Gateways of other sites, which are asked when no node is left here."""
    node_key_file: Path | None = None
    """The file with the key that is shown to the nodes, and to a backup."""
    node_authority: Path | None = None
    """Who signs the nodes' certificates, where they speak TLS."""
    certificate: Path | None = None
    """What the gateway shows to nodes that ask for a certificate, and its private key."""
    private_key: Path | None = None
    heartbeat_key_file: Path | None = None
    """Without it, a node's death is noticed by its connections alone."""
    heartbeat_port: int = 8081
    """Where the nodes listen that the list gives no port for; 0: they do not beat."""
    silence_seconds: float = 0.1
    """The least silence of a node's heartbeats that means anything; more where its beats come less regularly."""
    silence_seconds_most: float = 1.0
    look_seconds: float = 0.25
    """How often each node is asked by HTTP how it is; a sixteenth as often while its heart is heard."""
    connect_seconds: float = 0.5
    stall_seconds: float = 2.0
    """A node that is silent for so long while it answers is taken for dead; it is asked to ping five times as often."""
    stuck_seconds: float = 10.0
    """An engine that has work and takes no step for so long is stuck, however well its process beats. More where a
    machine reads fewer than 128 tokens of a prompt, which is one step, in that time."""
    patience_seconds: float = 5.0
    """How long an answer waits for any node at all before it is given up."""
    suspect_seconds: float = 30.0
    """The same for one that saw node after node die and may be the reason: it waits for a node that can be risked."""
    blames: int = 2
    """How much a prompt is to blame before it is given to no node for a while: see the module blame."""
    crashes: int = 5
    """An answer that has seen so many nodes die is given up, whoever was to blame."""
    quarantine_seconds: float = 300.0
    assumed_answer_tokens: int = Admission.assumed_answer_tokens
    """Of an answer, what counts as under way at most: one without a limit may fill the context, and few do."""
    hedge_from_priority: int = 1000
    """Requests of this priority and above may go to a second node when their first token is late; usually none may."""
    hedge_share: float = 0.05
    """What that may cost, as a share of all tokens."""
    hedge_least_seconds: float = 0.05


def read_gateway(path: Path) -> tuple[Settings, GatewaySettings]:
    """The settings of a file: the server's, and those of [gateway]."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path}: {error}") from error
    table = content.pop("gateway", {})
    settings = settings_from(content, str(path))
    return settings, dataclasses.replace(gateway_from(table, f"{path}: [gateway]"), models=settings.models)


def gateway_from(table: Any, where: str) -> GatewaySettings:
    """The settings of a parsed table."""
    values = dict(table) if isinstance(table, dict) else table
    cluster = None
    if isinstance(values, dict):
        if "models" in values:
            raise SettingsError(f"{where}: models are named in [models].")
        if "kubernetes" in values:
            told = values.pop("kubernetes")
            if not (isinstance(told, dict) and isinstance(told.get("service"), str)):
                raise SettingsError(f"{where}: kubernetes must be a table with the name of a service.")
            cluster = read_section(Kubernetes, told, f"{where}: kubernetes")
        for member in ("nodes", "backup"):
            values[member] = _urls(values.get(member, {}), f"{where}: {member}")
    made: GatewaySettings = read_section(GatewaySettings, values, where)
    return dataclasses.replace(made, kubernetes=cluster)


def _urls(table: Any, where: str) -> dict[str, str]:
    if not isinstance(table, dict):
        raise SettingsError(f"{where} must be a table of names and URLs.")
    for name, url in table.items():
        if not (isinstance(url, str) and url.startswith(("http://", "https://"))):
            raise SettingsError(f"{where}: {name} is not http://ADDRESS:PORT.")
    return {name: url.rstrip("/") for name, url in table.items()}


def check(settings: GatewaySettings) -> None:
    """Refuse what cannot work."""
    if not (settings.nodes or settings.kubernetes or settings.nodes_file):
        raise SettingsError("There is no node to ask. Give --node NAME=http://ADDRESS:PORT, or [gateway.kubernetes].")
    if not settings.models:
        raise SettingsError("[models] in the settings is empty: a gateway needs the tokenizer of each model.")
    if bool(settings.certificate) != bool(settings.private_key):
        raise SettingsError("A certificate and its private key are only of use together.")
