# SPDX-FileCopyrightText: 2026 The Holdfast authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What must be the same on all servers, and is not."""

from __future__ import annotations

DOCUMENTATION = r"""
name: k3s_disagreements
short_description: What must be the same on all servers, and is not
version_added: 0.1.0
author: The Holdfast authors (@holdfast)
description:
  - k3s compares such settings between its servers only where it keeps the datastore itself. With an external one
    nobody would notice.
  - Compares the variables that decide them, and those keys of O(extra) that must agree, as the inventory has them for
    each server.
options:
  _input:
    description: Names of the servers.
    type: list
    elements: str
    required: true
  hostvars:
    description: The magic variable C(hostvars).
    type: dict
    required: true
  own:
    description: The variables that must agree, with the values that this server has. A server without such a variable
      has the same.
    type: dict
    required: true
  extra:
    description: Name of the variable with the operator's own keys.
    type: str
    default: k3s_server_config
positional: hostvars, own, extra
"""

EXAMPLES = r"""
- name: Refuse servers that would not agree
  ansible.builtin.assert:
    that: >-
      groups['servers']
      | holdfast.edge.k3s_disagreements(hostvars, {'k3s_server_cluster_domain': k3s_server_cluster_domain}) == []
"""

RETURN = r"""
_value:
  description: One sentence for each.
  type: list
  elements: str
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible_collections.holdfast.edge.plugins.module_utils._k3s.config import disagreements, must_agree


def k3s_disagreements(
    servers: Iterable[str], hostvars: Mapping[str, Any], own: Mapping[str, Any], extra: str = "k3s_server_config"
) -> list[str]:
    return disagreements({str(server): _values(hostvars[server], own, extra) for server in servers})


def _values(variables: Mapping[str, Any], own: Mapping[str, Any], extra: str) -> dict[str, Any]:
    added = variables.get(extra) or {}
    return {
        **{name: variables.get(name, value) for name, value in own.items()},
        **(must_agree(added) if isinstance(added, Mapping) else {}),
    }


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"k3s_disagreements": k3s_disagreements}
