# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The Node object: what it says, and what must change in it.

k3s adds labels and never takes one away, and looks at taints only once. So what is ours is remembered in annotations,
and what is ours and no longer wanted goes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .errors import K3sError

OUR_LABELS = "holdfast.edge/labels"
OUR_TAINTS = "holdfast.edge/taints"
OUR_CORDON = "holdfast.edge/cordoned"
EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
# A kubelet tells of no more than so many.
MOST_IMAGES = 50
CONTROL_PLANE = "node-role.kubernetes.io/control-plane"


@dataclass(frozen=True)
class Wish:
    """What the Node shall have. None leaves a matter alone."""

    labels: Mapping[str, str] | None = None
    taints: Sequence[str] | None = None
    cordoned: bool | None = None


@dataclass(frozen=True)
class Facts:
    """What the Node says of itself."""

    ready: bool
    reasons: tuple[str, ...]
    version: str
    unschedulable: bool
    cordoned_by_us: bool
    control_plane: bool
    labels: Mapping[str, str]
    taints: tuple[str, ...]
    address: str
    images: tuple[str, ...] = ()


def parse_taint(text: str) -> dict[str, str]:
    """`key=value:Effect` or `key:Effect`, as k3s and kubectl write a taint."""
    rest, separator, effect = text.rpartition(":")
    key, _equals, value = rest.partition("=")
    if not separator or not key or effect not in EFFECTS:
        raise K3sError(f"{text!r} is no taint; write key=value:Effect with one of {', '.join(EFFECTS)}")
    return {"key": key, "value": value, "effect": effect} if value else {"key": key, "effect": effect}


def write_taint(taint: Mapping[str, Any]) -> str:
    value = f"={taint['value']}" if taint.get("value") else ""
    return f"{taint['key']}{value}:{taint['effect']}"


def facts(node: Mapping[str, Any]) -> Facts:
    """Read a Node as the API gives it."""
    metadata, spec, status = node["metadata"], node.get("spec", {}), node.get("status", {})
    conditions = {one["type"]: one for one in status.get("conditions", [])}
    ready = conditions.get("Ready", {})
    bad = [
        f"{kind}: {one.get('message') or one.get('reason') or one['status']}"
        for kind, one in sorted(conditions.items())
        if (one["status"] != "True" if kind == "Ready" else one["status"] != "False")
    ]
    return Facts(
        ready=ready.get("status") == "True",
        reasons=tuple(bad if conditions else ["the kubelet has not said anything yet"]),
        version=status.get("nodeInfo", {}).get("kubeletVersion", "").lstrip("v"),
        unschedulable=bool(spec.get("unschedulable", False)),
        cordoned_by_us=OUR_CORDON in metadata.get("annotations", {}),
        control_plane=CONTROL_PLANE in metadata.get("labels", {}),
        labels=metadata.get("labels", {}),
        taints=tuple(write_taint(taint) for taint in spec.get("taints", [])),
        address=next((one["address"] for one in status.get("addresses", []) if one["type"] == "InternalIP"), ""),
        images=_images(status.get("images", [])),
    )


def _images(told: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """The names of all images on the node; none where the list may have been cut."""
    return () if len(told) >= MOST_IMAGES else tuple(name for image in told for name in image.get("names") or [])


def patch(node: Mapping[str, Any], wish: Wish) -> dict[str, Any]:
    """The merge patch that gives the Node what is wished; empty when it has it."""
    metadata: dict[str, Any] = {}
    spec: dict[str, Any] = {}
    annotations: dict[str, Any] = {}
    if wish.labels is not None:
        labels = _labels(node, wish.labels)
        if labels:
            metadata["labels"] = labels
        annotations.update(_remember(node, OUR_LABELS, sorted(wish.labels)))
    if wish.taints is not None:
        taints = _taints(node, wish.taints)
        if taints is not None:
            spec["taints"] = taints
        annotations.update(_remember(node, OUR_TAINTS, sorted(_place(parse_taint(text)) for text in wish.taints)))
    if wish.cordoned is not None:
        _cordon(node, wish.cordoned, spec, annotations)
    if annotations:
        metadata["annotations"] = annotations
    return {name: part for name, part in (("metadata", metadata), ("spec", spec)) if part}


def _remembered(node: Mapping[str, Any], name: str) -> list[str]:
    try:
        known = json.loads(node["metadata"].get("annotations", {}).get(name, "[]"))
    except ValueError:
        return []
    return [str(item) for item in known] if isinstance(known, list) else []


def _remember(node: Mapping[str, Any], name: str, items: Sequence[str]) -> dict[str, str | None]:
    there = name in node["metadata"].get("annotations", {})
    if _remembered(node, name) == list(items) and there == bool(items):
        return {}
    return {name: json.dumps(list(items)) if items else None}


def _labels(node: Mapping[str, Any], wanted: Mapping[str, str]) -> dict[str, str | None]:
    has = node["metadata"].get("labels", {})
    gone = [name for name in _remembered(node, OUR_LABELS) if name not in wanted and name in has]
    changed = {name: value for name, value in wanted.items() if has.get(name) != value}
    return {**dict.fromkeys(gone), **changed}


def _place(taint: Mapping[str, Any]) -> str:
    """What makes a taint this one and no other: Kubernetes knows one value for each key and effect."""
    return f"{taint['key']}:{taint['effect']}"


def _taints(node: Mapping[str, Any], wanted: Sequence[str]) -> list[dict[str, Any]] | None:
    has: list[dict[str, Any]] = list(node.get("spec", {}).get("taints", []))
    wished = {_place(taint): taint for taint in map(parse_taint, wanted)}
    ours = set(_remembered(node, OUR_TAINTS)) | set(wished)
    there = {_place(taint): write_taint(taint) for taint in has if _place(taint) in ours}
    if there == {place: write_taint(taint) for place, taint in wished.items()}:
        return None
    return [*(taint for taint in has if _place(taint) not in ours), *wished.values()]


def _cordon(node: Mapping[str, Any], wanted: bool, spec: dict[str, Any], annotations: dict[str, Any]) -> None:
    """A node that an operator cordoned stays so: only what we cordoned is ours to give back."""
    now = bool(node.get("spec", {}).get("unschedulable", False))
    ours = OUR_CORDON in node["metadata"].get("annotations", {})
    if wanted and not now:
        spec["unschedulable"] = True
        annotations[OUR_CORDON] = "true"
    elif not wanted and ours:
        annotations[OUR_CORDON] = None
        if now:
            spec["unschedulable"] = None
