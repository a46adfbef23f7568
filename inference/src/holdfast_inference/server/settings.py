# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""What an operator may set, with its default and the reason for it; read from one TOML file."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tomllib

MIB = 1024 * 1024


class SettingsError(Exception):
    """A settings file that cannot be used, with the line that an operator needs."""


@dataclass(frozen=True)
class Limits:
    """What one request may cost before anything is computed for it."""

    body_bytes: int = 4 * MIB
    body_seconds: float = 30.0
    """A body that trickles in longer than this is given up."""
    json_depth: int = 64
    choices: int = 8
    """Answers to one request: n, times the number of prompts."""
    stops: int = 4
    messages: int = 4096
    tools: int = 128
    schema_bytes: int = 128 * 1024
    """JSON schemas and grammars, each."""
    deadline_seconds: float = 600.0
    """No request runs longer; a client may ask for less."""


@dataclass(frozen=True)
class Admission:
    """How many tokens may be under way. A request counts its prompts and what it is assumed to draw."""

    tokens: int = 262_144
    tokens_per_key: int = 131_072
    """One client cannot fill the queue for all others."""
    assumed_answer_tokens: int = 512
    """Few requests use what they are allowed to draw; counting all of it would refuse work that fits."""


@dataclass(frozen=True)
class Access:
    """Who may ask. Deny by default: without keys and without client certificates the server does not start."""

    keys_file: Path | None = None
    certificate: Path | None = None
    private_key: Path | None = None
    client_authority: Path | None = None
    """With it, every path that is not health needs a client certificate of this authority (mTLS)."""
    anonymous: bool = False
    """For a developer's own machine."""
    origins: tuple[str, ...] = ()
    """Web origins whose pages may ask (CORS); none by default."""


@dataclass(frozen=True)
class EngineSettings:
    """How each model is served; the engine says why its defaults are what they are."""

    slots: int = 4
    """Answers that are drawn at the same time."""
    context: int = 0
    """0: as long as the model was exported for."""
    threads: int = 0
    """0: the whole cores that were granted."""
    memory_bytes: int = 0
    """For all models together; 0: what was granted."""
    queue_tokens: int = 32_768
    packed_folder: Path | None = None
    """Where weights are kept as this processor wants them, so that an exchange or a second engine of one model maps
    them instead of having its own; about twice the model's size on disk, for this user only. Without it, each has its
    own."""
    providers: tuple[str, ...] = ("CPUExecutionProvider",)
    """Where it computes: onnxruntime's execution providers by name, best first. Another than this one has to be in the
    onnxruntime that is installed; whether its answers are exact there is found out when a model is loaded."""


@dataclass(frozen=True)
class Heartbeat:
    """What this node tells the gateways of its site many times a second."""

    key_file: Path | None = None
    """Without it there are no heartbeats: nobody could tell them from forged ones."""
    host: str = ""
    """Empty: that of the server."""
    port: int = 8081
    beat_seconds: float = 0.01


@dataclass(frozen=True)
class Tracing:
    """Spans for OpenTelemetry."""

    endpoint: str = ""
    """A collector that takes OTLP over HTTP, such as http://127.0.0.1:4318; without it nothing is sent."""
    share: float = 0.0
    """Of the requests that belong to no trace yet, how many begin one that is kept; others say it themselves."""
    service: str = "holdfast-inference"
    send_seconds: float = 1.0


@dataclass(frozen=True)
class Settings:
    """Everything that is set for one server."""

    host: str = "127.0.0.1"
    port: int = 8080
    admin_socket: Path | None = None
    models: dict[str, Path] = field(default_factory=dict)
    """Model folders by the name that clients ask for."""
    ping_seconds: float = 5.0
    """A stream that has nothing to say yet says so this often, so that nobody between takes it for dead."""
    write_seconds: float = 60.0
    """A client that reads nothing for so long is cut off."""
    keep_alive_seconds: int = 65
    header_seconds: float = 15.0
    """A new connection that asks nothing for so long is closed."""
    drain_seconds: float = 25.0
    """After a signal to stop, answers may still end for so long; less than Kubernetes' 30 s."""
    temperature_limit: float | None = None
    """Degrees Celsius above which the server says that it is not ready."""
    log_prompts: bool = False
    """Write what is asked into the log, for whoever looks for a fault and may read it."""
    vllm_metrics: bool = True
    """Tell the metrics under vLLM's names too, which dashboards and endpoint pickers read."""
    limits: Limits = field(default_factory=Limits)
    admission: Admission = field(default_factory=Admission)
    access: Access = field(default_factory=Access)
    engine: EngineSettings = field(default_factory=EngineSettings)
    heartbeat: Heartbeat = field(default_factory=Heartbeat)
    tracing: Tracing = field(default_factory=Tracing)


SECTIONS: tuple[type[Any], ...] = (Limits, Admission, Access, EngineSettings, Heartbeat, Tracing)


def read_settings(path: Path) -> Settings:
    """The settings of a file. A name that is not known is an error: a misspelt limit must not be no limit."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{path}: {error}") from error
    return settings_from(content, str(path))


def settings_from(content: dict[str, Any], where: str = "settings") -> Settings:
    """The settings of parsed TOML."""
    sections = {section.__name__.lower().removesuffix("settings"): section for section in SECTIONS}
    values = dict(content)
    for name, kind in sections.items():
        if name in values:
            values[name] = read_section(kind, values[name], f"{where}: [{name}]")
    models = values.get("models", {})
    if not isinstance(models, dict) or not all(isinstance(folder, str) for folder in models.values()):
        raise SettingsError(f"{where}: [models] must be a table of names and folders.")
    values["models"] = {name: Path(folder) for name, folder in models.items()}
    made: Settings = read_section(Settings, values, where)
    return made


def read_section(kind: type[Any], values: Any, where: str) -> Any:
    """A dataclass out of a table of the same names."""
    if not isinstance(values, dict):
        raise SettingsError(f"{where} must be a table.")
    known = {entry.name: entry for entry in dataclasses.fields(kind)}
    for name in values:
        if name not in known:
            raise SettingsError(f"{where}: {name} is not a setting. There are: {', '.join(known)}.")
    return kind(**{name: _fitting(str(known[name].type), value, f"{where}: {name}") for name, value in values.items()})


def _fitting(annotation: str, value: Any, where: str) -> Any:
    if annotation.startswith("Path") and isinstance(value, str):
        return Path(value)
    if annotation.startswith("float") and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if annotation.startswith("tuple") and isinstance(value, list) and all(isinstance(part, str) for part in value):
        return tuple(value)
    plain = {"int": int, "str": str, "bool": bool}.get(annotation)
    if plain is not None and (type(value) is plain):
        return value
    if annotation in [section.__name__ for section in SECTIONS] or annotation.startswith("dict"):
        return value
    raise SettingsError(f"{where} = {value!r} is not of the kind {annotation}.")
