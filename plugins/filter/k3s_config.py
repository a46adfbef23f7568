# SPDX-FileCopyrightText: 2026 The Holdfast authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A configuration of k3s with what the operator adds to it."""

from __future__ import annotations

DOCUMENTATION = r"""
name: k3s_config
short_description: A configuration of k3s with what the operator adds to it
version_added: 0.1.0
author: The Holdfast authors (@holdfast)
description:
  - Lists are added to. An argument for a component, such as C(audit-log-maxage=7), takes the place of the one of that
    name.
  - Any other key takes the place of ours.
options:
  _input:
    description: The configuration.
    type: dict
    required: true
  extra:
    description: What is added.
    type: dict
    required: true
positional: extra
"""

EXAMPLES = r"""
- name: Show a configuration
  ansible.builtin.debug:
    msg: "{{ {'tls-san': ['a']} | holdfast.edge.k3s_config({'tls-san': ['b']}) }}"
"""

RETURN = r"""
_value:
  description: The whole configuration.
  type: dict
  sample: {tls-san: [a, b]}
"""

from collections.abc import Callable
from typing import Any

from ansible_collections.holdfast.edge.plugins.module_utils._k3s.config import merge


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"k3s_config": merge}
