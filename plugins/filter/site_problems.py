# SPDX-FileCopyrightText: 2026 The Holdfast authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is wrong with a site as its inventory describes it."""

from __future__ import annotations

DOCUMENTATION = r"""
name: site_problems
short_description: What is wrong with a site as its inventory describes it
version_added: 0.1.0
author: The Holdfast authors (@holdfast)
description:
  - Looks at groups, names and addresses only, so that a site that cannot be built is refused before a machine is asked.
  - Each fault is a sentence with its remedy. A site without faults gives an empty list.
options:
  _input:
    description: The inventory's groups, as in the magic variable C(groups).
    type: dict
    required: true
  hostvars:
    description: The magic variable C(hostvars).
    type: dict
    required: true
  vip:
    description: The virtual address of the site; empty for none.
    type: str
    default: ""
positional: hostvars, vip
"""

EXAMPLES = r"""
- name: Refuse a site that cannot be built
  ansible.builtin.assert:
    that: groups | holdfast.edge.site_problems(hostvars) == []
"""

RETURN = r"""
_value:
  description: The faults.
  type: list
  elements: str
"""

from collections.abc import Callable, Mapping
from typing import Any

from ansible_collections.holdfast.edge.plugins.filter.addresses import addresses
from ansible_collections.holdfast.edge.plugins.module_utils._site_problems import SiteAsWritten, problems


def site_problems(groups: Mapping[str, list[str]], hostvars: Mapping[str, Any], vip: str = "") -> list[str]:
    servers = list(groups.get("servers", []))
    edge = list(groups.get("edge", []))
    return problems(
        SiteAsWritten(
            edge=edge,
            servers=servers,
            workers=list(groups.get("workers", [])),
            members=list(groups.get("etcd", servers)),
            addresses=addresses(edge, hostvars),
            vip=vip,
        )
    )


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"site_problems": site_problems}
