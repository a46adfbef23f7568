# SPDX-FileCopyrightText: 2026 The Holdfast authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the looks at all members of etcd come to."""

from __future__ import annotations

DOCUMENTATION = r"""
name: etcd_site
short_description: What the looks at all members of etcd come to
version_added: 0.1.0
author: The Holdfast authors (@holdfast)
description:
  - Takes what M(holdfast.edge.etcd_info) told of each host that a run reaches, and tells what is to be done and what
    forbids it.
options:
  _input:
    description: RV(holdfast.edge.etcd_info#module:etcd) of each host, by its name.
    type: dict
    required: true
  members:
    description: The address of every member that there should be, by its name.
    type: dict
    required: true
  token:
    description: The token of the cluster.
    type: str
    required: true
  version:
    description: The version that is wanted; empty for the newest of the bundle.
    type: str
    default: ""
  timing:
    description: V(auto), V(fast) or V(slow).
    type: str
    default: auto
  measure:
    description: Whether the disks decide anew about a cluster that there is.
    type: bool
    default: false
  free_min_mb:
    description: Least free space in MiB on a blank member.
    type: int
    default: 0
  bundle:
    description: The entries of the bundle.
    type: list
    elements: dict
    default: []
  disks:
    description: What was measured now, by host, in milliseconds.
    type: dict
    default: {}
positional: members, token
"""

EXAMPLES = r"""
- name: Refuse what cannot be
  ansible.builtin.assert:
    that: (looks | holdfast.edge.etcd_site(members=members, token='holdfast-demo')).faults == []
"""

RETURN = r"""
_value:
  description: C(formed), C(cluster), C(leader), C(versions), C(timing), C(new), C(join), C(start), C(order),
    C(faults), and C(absent).
  type: dict
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.holdfast.edge.plugins.module_utils._etcd.site import Question, absent_at_first_start, conclude


def etcd_site(
    looks: Mapping[str, Mapping[str, Any]],
    members: Mapping[str, str],
    token: str,
    version: str = "",
    timing: str = "auto",
    measure: bool = False,
    free_min_mb: int = 0,
    bundle: Sequence[Mapping[str, Any]] = (),
    disks: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    question = Question(looks, members, token, version, timing, measure, free_min_mb, bundle, disks or {})
    return {**conclude(question), "absent": absent_at_first_start(question)}


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"etcd_site": etcd_site}
