# SPDX-FileCopyrightText: 2026 The Holdfast authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which node has which engine's number."""

from __future__ import annotations

DOCUMENTATION = r"""
name: engine_numbers
short_description: Which node has which engine's number
version_added: 0.1.0
author: The Holdfast authors (@holdfast)
description:
  - A StatefulSet numbers its engines, and a volume ties each number to the node with that engine's models.
  - Gives the nodes in the order of their numbers. A node keeps the number that it has; new ones get those that are
    free. Where there are fewer nodes than before, the last ones get the free numbers, so that there are no gaps.
options:
  _input:
    description: The nodes that shall have an engine.
    type: list
    elements: str
    required: true
  volumes:
    description: The engines' C(PersistentVolume) objects that there are.
    type: list
    elements: dict
    required: true
  namespace:
    description: The engines' namespace.
    type: str
    required: true
positional: volumes, namespace
"""

EXAMPLES = r"""
- name: Say which node has the first engine
  ansible.builtin.debug:
    msg: "{{ (['edge-1', 'edge-2'] | holdfast.edge.engine_numbers([], 'inference')).nodes | first }}"
"""

RETURN = r"""
_value:
  description: C(nodes), and as C(moved) what Kubernetes does not do to a volume that there is, each with C(number),
    C(volume), the node that it is C(from), and the one that it would go C(to), which is empty for none.
  type: dict
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Tie:
    """What a volume says."""

    number: int
    node: str
    volume: str


def engine_numbers(hosts: Iterable[str], volumes: Iterable[Mapping[str, Any]], namespace: str) -> dict[str, Any]:
    wanted = list(hosts)
    ties = [_tie(volume) for volume in volumes if volume["spec"]["claimRef"]["namespace"] == namespace]
    kept = {tie.number: tie.node for tie in ties if tie.node in wanted and tie.number < len(wanted)}
    others = iter([node for node in wanted if node not in kept.values()])
    nodes = [kept[number] if number in kept else next(others) for number in range(len(wanted))]
    moved = []
    for tie in sorted(ties, key=lambda tie: tie.number):
        now = nodes[tie.number] if tie.number < len(nodes) else ""
        # A last number that nobody has any more may stay as it is, unless its node has another one.
        if now != tie.node and (now or tie.node in wanted):
            moved.append({"number": tie.number, "volume": tie.volume, "from": tie.node, "to": now})
    return {"nodes": nodes, "moved": moved}


def _tie(volume: Mapping[str, Any]) -> Tie:
    """The claim is named after the engine, `store-llm-2`; the node is the only one that the volume can be used on."""
    spec = volume["spec"]
    (term,) = spec["nodeAffinity"]["required"]["nodeSelectorTerms"]
    (expression,) = term["matchExpressions"]
    (node,) = expression["values"]
    return Tie(int(spec["claimRef"]["name"].rpartition("-")[2]), node, volume["metadata"]["name"])


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"engine_numbers": engine_numbers}
