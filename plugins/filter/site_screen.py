# SPDX-FileCopyrightText: 2026 The Holdfast authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One screen about a site."""

from __future__ import annotations

DOCUMENTATION = r"""
name: site_screen
short_description: One screen about a site
version_added: 0.1.0
author: The Holdfast authors (@holdfast)
description:
  - Puts what each node told onto one screen - nodes, versions, etcd, certificates, VIP, backups, the inference
    service - and says what is wrong and what to type.
  - Nodes that told nothing are on it too.
options:
  _input:
    description: For each node C(name), C(address), C(server), C(member), C(reached), C(said), and the results of the
      looks C(k3s), C(etcd), C(balancer), C(backup) and C(inference), each of which may be missing; C(answering) names
      the parts of the inference service that it should have.
    type: list
    elements: dict
    required: true
  name:
    description: The site's name.
    type: str
    required: true
  vip:
    description: The site's virtual address; empty for none.
    type: str
    default: ""
  backup_hours:
    description: From how many hours on the newest backup is too old.
    type: float
    default: 26
  least_days:
    description: With fewer days than these left, a certificate is wrong.
    type: int
    default: 30
  url:
    description: The site's address for questions to the inference service; empty for none.
    type: str
    default: ""
  authority:
    description: The certificate of the authority that clients of the inference service trust, as PEM.
    type: str
    default: ""
positional: name
"""

EXAMPLES = r"""
- name: Show the site
  ansible.builtin.debug:
    msg: "{{ (told | holdfast.edge.site_screen('shop7')).lines }}"
"""

RETURN = r"""
_value:
  description: C(lines) of the screen, and C(wrong), a list of sentences.
  type: dict
"""

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible_collections.holdfast.edge.plugins.module_utils._certificate import certificates_in
from ansible_collections.holdfast.edge.plugins.module_utils._screen.answers import Front
from ansible_collections.holdfast.edge.plugins.module_utils._screen.screen import draw
from ansible_collections.holdfast.edge.plugins.module_utils._screen.wrong import Limits


def site_screen(
    told: Iterable[Mapping[str, Any]],
    name: str,
    vip: str = "",
    backup_hours: float = 26.0,
    least_days: int = 30,
    url: str = "",
    authority: str = "",
) -> dict[str, list[str]]:
    """The lines, and what is wrong."""
    now = time.time()
    days = [int(one.days_left(now)) for one in certificates_in(authority.encode())]
    front = Front(url, min(days, default=None))
    screen = draw(told, name, vip, now, Limits(float(backup_hours), int(least_days)), front)
    return {"lines": screen.lines, "wrong": screen.wrong}


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"site_screen": site_screen}
