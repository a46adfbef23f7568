# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What k3s was told to run, from the line in its journal, and what its configuration will tell it at the next start."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import yaml

CONFIG = "/etc/rancher/k3s/config.yaml"
DROP_INS = "/etc/rancher/k3s/config.yaml.d/"
KUBELET_FOLDER = "/var/lib/rancher/k3s/agent/etc/kubelet.conf.d/"


@lru_cache(maxsize=64)
def parsed(content: str) -> Any:
    """The YAML of a file. Many controls ask the same few files, so what it gives is shared: read it only."""
    return yaml.safe_load(content) or {}


def flags_of(line: str, component: str) -> dict[str, str]:
    """The flags of `… level=info msg="Running COMPONENT --a=b …"`; a flag without a value is true."""
    match = re.search(rf"Running {re.escape(component)} (--.*?)\"?\s*$", line)
    if match is None:
        return {}
    told = match.group(1).replace('\\"', '"').replace("\\\\", "\\")
    found: dict[str, str] = {}
    for argument in re.split(r"\s+(?=--)", told):
        name, equals, value = argument[2:].partition("=")
        found[name.strip()] = value.strip() if equals else "true"
    return found


def k3s_config(texts: Mapping[str, str]) -> dict[str, Any]:
    """The main file, then its drop-ins by name; `key+` adds to what is there, `key` replaces it."""
    merged: dict[str, Any] = {}
    for path in (CONFIG, *sorted(path for path in texts if path.startswith(DROP_INS))):
        content = parsed(texts.get(path, ""))
        for key, value in content.items():
            if key.endswith("+"):
                merged[key[:-1]] = [*_list(merged.get(key[:-1])), *_list(value)]
            else:
                merged[key] = value
    return merged


def configured_flags(texts: Mapping[str, str], component: str) -> dict[str, str]:
    """What `COMPONENT-arg` of the configuration says; of a repeated flag the last counts."""
    found: dict[str, str] = {}
    for argument in _list(k3s_config(texts).get(f"{component}-arg")):
        name, equals, value = str(argument).partition("=")
        found[name.lstrip("-").rstrip("+-")] = value if equals else "true"
    return found


def kubelet_files(texts: Mapping[str, str]) -> dict[str, Any]:
    """The kubelet's drop-in folder, merged as the kubelet merges it: maps go into each other, all else is replaced."""
    merged: dict[str, Any] = {}
    for path in sorted(path for path in texts if path.startswith(KUBELET_FOLDER)):
        _into(merged, parsed(texts[path]))
    return merged


def at(tree: Mapping[str, Any], path: str) -> Any:
    """What stands at a.b.c, or None."""
    found: Any = tree
    for part in path.split("."):
        if not isinstance(found, Mapping) or part not in found:
            return None
        found = found[part]
    return found


def as_text(value: Any) -> str:
    """A value as a flag would spell it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return ",".join(as_text(item) for item in value)
    return str(value)


def _into(merged: dict[str, Any], more: Mapping[str, Any]) -> None:
    for key, value in more.items():
        if not isinstance(value, Mapping):
            merged[key] = value
            continue
        # A map of its own: what was parsed is shared, and may not change.
        if not isinstance(merged.get(key), dict):
            merged[key] = {}
        _into(merged[key], value)


def _list(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list) else [value]
