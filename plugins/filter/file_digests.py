# SPDX-FileCopyrightText: 2026 The Holdfast authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files as node_files wants them, with digests in place of their texts."""

from __future__ import annotations

DOCUMENTATION = r"""
name: file_digests
short_description: Files as node_files wants them, with digests in place of their texts
version_added: 0.1.0
author: The Holdfast authors (@holdfast)
description:
  - Lets modules that look at a node compare files without being given what is in them.
options:
  _input:
    description: The list that M(holdfast.edge.node_files) takes.
    type: list
    elements: dict
    required: true
  restart:
    description: Paths of those that a service reads at its start only.
    type: list
    elements: str
    default: []
positional: restart
"""

EXAMPLES = r"""
- name: Compare files
  holdfast.edge.k3s_info:
    kind: server
    name: edge-1
    files: "{{ wanted_files | holdfast.edge.file_digests(['/etc/rancher/k3s/config.yaml']) }}"
"""

RETURN = r"""
_value:
  description: What M(holdfast.edge.k3s_info) and others take.
  type: list
  elements: dict
"""

from collections.abc import Callable
from typing import Any

from ansible_collections.holdfast.edge.plugins.module_utils._node_files.digests import digests


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"file_digests": digests}
