# SPDX-FileCopyrightText: 2026 The Holdfast authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The version that a site's nodes go back to."""

from __future__ import annotations

DOCUMENTATION = r"""
name: way_back
short_description: The version that a site's nodes go back to
version_added: 0.1.0
author: The Holdfast authors (@holdfast)
description:
  - Finds the version before from what each node runs and what it had before, also where a run was cut short.
  - Refuses a way back across a minor version, with the command that leads there.
options:
  _input:
    description: C(running) and C(previous) of each node, by its name.
    type: dict
    required: true
  component:
    description: What goes back, as C(k3s).
    type: str
    required: true
  wanted:
    description: A version to go back to; empty for the one before.
    type: str
    default: ""
positional: component, wanted
"""

EXAMPLES = r"""
- name: Say where the way back leads
  ansible.builtin.debug:
    msg: "{{ {'edge-1': {'running': '1.36.4+k3s1', 'previous': '1.36.3+k3s1'}} | holdfast.edge.way_back('k3s') }}"
"""

RETURN = r"""
_value:
  description: C(version), and C(faults) as a list of sentences.
  type: dict
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from ansible_collections.holdfast.edge.plugins.module_utils._way_back import way_back


def _way_back(nodes: Mapping[str, Mapping[str, str]], component: str, wanted: str = "") -> dict[str, Any]:
    found = asdict(way_back(nodes, component, wanted))
    return {**found, "faults": list(found["faults"])}


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"way_back": _way_back}
