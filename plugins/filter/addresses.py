# SPDX-FileCopyrightText: 2026 The Holdfast authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The addresses of the hosts of a group."""

from __future__ import annotations

DOCUMENTATION = r"""
name: addresses
short_description: The addresses of the hosts of a group
version_added: 0.1.0
author: The Holdfast authors (@holdfast)
description:
  - Gives each host of the group the address at which the site's other hosts reach it.
  - That is its variable C(node_address), else C(ansible_host), else its name in the inventory.
  - It asks the inventory only, so hosts that the run does not reach are in it too.
options:
  _input:
    description: Names of hosts, as C(groups['servers']).
    type: list
    elements: str
    required: true
  hostvars:
    description: The magic variable C(hostvars).
    type: dict
    required: true
positional: hostvars
"""

EXAMPLES = r"""
- name: Say where the servers are
  ansible.builtin.debug:
    msg: "{{ groups['servers'] | holdfast.edge.addresses(hostvars) }}"
"""

RETURN = r"""
_value:
  description: The address of each host by its name, in the order of the group.
  type: dict
  sample: {edge-1: 10.0.0.11, edge-2: 10.0.0.12}
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

KEYS = ("node_address", "ansible_host")


def addresses(hosts: Iterable[str], hostvars: Mapping[str, Any]) -> dict[str, str]:
    """The first that is set of each host's variables, else its name."""
    return {str(host): _address(str(host), hostvars[host]) for host in hosts}


def _address(host: str, variables: Mapping[str, Any]) -> str:
    return next((str(variables[key]) for key in KEYS if variables.get(key)), host)


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"addresses": addresses}
