# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The inference service on the screen: two lines of what it is, and sentences about what is wrong with it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .told import Node

WIDTH = 118
DIGEST = 12
RUN = "ansible-playbook -i <inventory> playbooks/inference.yml"
LOOK = "kubectl get pods -A -l app.kubernetes.io/name=llm-inference -o wide"


@dataclass(frozen=True)
class Front:
    """What clients are given: the site's address, empty where there is none, and how long their authority lasts."""

    url: str = ""
    authority_days: int | None = None


def lines(site: Sequence[Node], front: Front) -> list[str]:
    """Nothing where a site neither wants the service nor has it."""
    if not _concerned(site):
        return []
    parts = [_front_door(site, front.url), f"ready: {_ready(site, 'engine')}, {_ready(site, 'gateway')}"]
    certificate = min(_certificates(site), default=None)
    days = [("certificate", certificate), ("authority", front.authority_days)]
    parts.append(", ".join(f"{name} {left} days" for name, left in days if left is not None))
    texts = [f"ANSWERS  {'; '.join(part for part in parts if part)}", f"MODELS   {_models(site)}"]
    return [line for text in texts for line in textwrap.wrap(text, WIDTH, subsequent_indent=" " * 9)]


def wrong(site: Sequence[Node], front: Front, least_days: int) -> Iterator[str]:
    """Every fault of the service, what clients notice first."""
    if not _concerned(site):
        return
    # Of the others it is said already that they are silent, or blank.
    living = [node for node in site if node.reached and not node.k3s.get("blank", True)]
    yield from _front(living, front)
    yield from _parts(living)
    yield from _differing(site)
    yield from _lives(site, front, least_days)


def _concerned(site: Sequence[Node]) -> bool:
    return any(node.answering or _told(node, "engine") or _told(node, "gateway") for node in site)


def _told(node: Node, part: str) -> list[Mapping[str, Any]]:
    return list(node.inference.get(f"{part}s", ()))


def _is_ready(node: Node, part: str) -> bool:
    return any(one.get("ready") for one in _told(node, part))


def _ready(site: Sequence[Node], part: str) -> str:
    wanted = [node for node in site if part in node.answering or _told(node, part)]
    missing = [node.name for node in wanted if not _is_ready(node, part)]
    text = f"{len(wanted) - len(missing)} of {len(wanted)} {part}s"
    return f"{text} (not {', '.join(missing)})" if missing else text


def _doors(site: Sequence[Node]) -> Iterator[tuple[Node, Mapping[str, Any]]]:
    for node in site:
        for door in node.inference.get("doors", ()):
            yield node, door


def _asked_at(site: Sequence[Node], url: str) -> dict[str, Mapping[str, Any]]:
    """What each node found at an address."""
    return {node.name: door for node, door in _doors(site) if door["url"] == url}


def _front_door(site: Sequence[Node], url: str) -> str:
    asked = _asked_at(site, url)
    if not url or not asked:
        return f"{url} was asked by nobody" if url else ""
    return f"{url} {'answers' if any(door['answers'] for door in asked.values()) else 'DOES NOT ANSWER'}"


def _certificates(site: Sequence[Node]) -> list[int]:
    """The days that are left of what is served."""
    return [int(door["days_left"]) for _node, door in _doors(site) if door["days_left"] is not None]


def _served(site: Sequence[Node]) -> dict[str, dict[str, list[str]]]:
    """The nodes, by model and digest."""
    found: dict[str, dict[str, list[str]]] = {}
    for node in site:
        for engine in _told(node, "engine"):
            for model, state in engine.get("models", {}).items():
                digest = str(state.get("digest") or "unknown")[:DIGEST]
                found.setdefault(model, {}).setdefault(digest, []).append(node.name)
    return found


def _models(site: Sequence[Node]) -> str:
    served = _served(site)
    if not served:
        return "none on the nodes that answer"
    engines = sum(len(_told(node, "engine")) for node in site)
    told = [
        f"{model} {digest} on {'all' if len(names) == engines else len(names)} of {engines}"
        for model, digests in sorted(served.items())
        for digest, names in digests.items()
    ]
    states = [state for node in site for engine in _told(node, "engine") for state in engine.get("models", {}).values()]
    told.append(f"{sum(int(state.get('queued_tokens') or 0) for state in states)} tokens queued")
    times = [gateway.get("answer_seconds", {}).get("p95") or 0.0 for node in site for gateway in _told(node, "gateway")]
    if any(times):
        told.append(f"95 of 100 answers of the last minute within {max(times):.2f} s")
    return "; ".join(told)


def _front(site: Sequence[Node], front: Front) -> Iterator[str]:
    asked = _asked_at(site, front.url)
    silent = {name: door["said"] for name, door in asked.items() if not door["answers"]}
    if silent:
        reason, *_same = silent.values()
        where = "any node of the site" if len(silent) == len(asked) else " and ".join(silent)
        yield (
            f"answers: {front.url} gives no answer to {where} ({reason}). "
            "See on the holder of the address: journalctl -u haproxy"
        )
    for _node, door in _doors(site):
        if door["refused"]:
            yield (
                f"answers: clients that trust inference-ca.crt refuse {door['url']} ({door['refused']}). "
                f"To serve what the controller has: {RUN}"
            )


def _parts(site: Sequence[Node]) -> Iterator[str]:
    for node in site:
        if node.answering and not node.inference:
            yield f"{node.name}: could not be asked about the inference service"
            continue
        for part in node.answering:
            told = _told(node, part)
            if not told:
                yield f"{node.name}: no {part} runs there. See: {LOOK}; then {RUN}"
            elif not _is_ready(node, part):
                yield f"{node.name}: its {part} is not ready ({told[0].get('not_ready_because')}). See: {LOOK}"
            elif part == "gateway":
                yield from _deaf(node)


def _deaf(node: Node) -> Iterator[str]:
    """Its gateway says that it is ready, and its own address does not answer."""
    for door in node.inference.get("doors", ())[:1]:
        if not door["answers"]:
            yield f"{node.name}: {door['url']} does not answer ({door['said']}) though its gateway runs. See: {LOOK}"


def _differing(site: Sequence[Node]) -> Iterator[str]:
    for model, digests in sorted(_served(site).items()):
        if len(digests) > 1:
            told = ", ".join(f"{digest} on {' and '.join(names)}" for digest, names in digests.items())
            yield f"answers: engines serve {model} in {len(digests)} versions: {told}. To have one: {RUN}"


def _lives(site: Sequence[Node], front: Front, least_days: int) -> Iterator[str]:
    days = min(_certificates(site), default=least_days)
    if days < least_days:
        yield (
            f"answers: the gateways' certificate ends in {days} days. {RUN} makes another one, or brings a newer "
            "inference_certificate"
        )
    if front.authority_days is not None and front.authority_days < least_days:
        yield (
            f"answers: the authority that clients trust ends in {front.authority_days} days. "
            "See docs/inference-site.md for the way to another one"
        )
