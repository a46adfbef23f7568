# SPDX-FileCopyrightText: 2026 The Holdfast authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What k3s would not take of the keys that an operator adds."""

from __future__ import annotations

DOCUMENTATION = r"""
name: k3s_config_problems
short_description: What k3s would not take of the keys that an operator adds
version_added: 0.1.0
author: The Holdfast authors (@holdfast)
description:
  - A server of k3s skips a key that it does not know, and an agent does not start with one. So each is judged before
    it is written.
  - A misspelt key is told with the nearest right name, a value of the wrong type with what it should be, and a key
    that Holdfast decides
    with the variable for it.
options:
  _input:
    description: The keys.
    type: dict
    required: true
  verb:
    description: Whose configuration it is, V(server) or V(agent).
    type: str
    required: true
  version:
    description: The release that is to run; empty for any.
    type: str
    default: ""
positional: verb, version
"""

EXAMPLES = r"""
- name: Refuse a misspelt key
  ansible.builtin.assert:
    that: k3s_server_config | holdfast.edge.k3s_config_problems('server') == []
"""

RETURN = r"""
_value:
  description: One sentence for each fault.
  type: list
  elements: str
"""

from collections.abc import Callable
from typing import Any

from ansible_collections.holdfast.edge.plugins.module_utils._k3s.config import problems


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"k3s_config_problems": problems}
