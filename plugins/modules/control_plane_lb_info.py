#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The Holdfast authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell what a node has of the balancer before the API."""

from __future__ import annotations

DOCUMENTATION = r"""
module: control_plane_lb_info
short_description: Tell what a node has of the balancer before the API
version_added: 0.1.0
description:
  - Looks in one step for programs, units, files, the interface of the node's address, and whether the balancer serves.
  - Changes nothing.
author: The Holdfast authors (@holdfast)
options:
  address:
    description: The node's own address on the site's network.
    type: str
    required: true
  vip:
    description: The virtual address of the API.
    type: str
    required: true
  units:
    description: The systemd units to ask about, each with its suffix.
    type: list
    elements: str
    default: [haproxy.service, keepalived.service]
  programs:
    description: Programs that must be there.
    type: list
    elements: str
    default: [haproxy, keepalived]
  files:
    description: Files that must be there before the balancer can start.
    type: list
    elements: str
    default: []
  health_url:
    description: Where the balancer tells on the node itself that it has a server for its clients; not asked when empty.
    type: str
    default: ""
  wait_seconds:
    description: How long to wait for O(health_url) to answer 200 before the look; 0 asks once.
    type: int
    default: 0
  applied:
    description: Where the role noted the files that the balancer was last seen to serve with; not read when empty.
    type: str
    default: ""
attributes:
  check_mode:
    description: Can run in check mode and tells the same as without it.
    support: full
  diff_mode:
    description: Has nothing to show, since it changes nothing.
    support: N/A
  idempotent:
    description: Changes nothing, however often it runs.
    support: full
"""

EXAMPLES = r"""
- name: Look at the balancer
  holdfast.edge.control_plane_lb_info:
    address: 192.0.2.11
    vip: 192.0.2.10
    health_url: http://127.0.0.1:7444/ready
  register: result

- name: Say who holds the virtual address
  ansible.builtin.debug:
    msg: "{{ inventory_hostname }} holds it"
  when: result.balancer.holds_vip
"""

RETURN = r"""
balancer:
  description: What was seen.
  returned: success
  type: dict
  contains:
    interface:
      description: The interface that carries O(address); empty where none does.
      type: str
      sample: eth0
    holds_vip:
      description: Whether O(vip) is on this node now.
      type: bool
      sample: true
    missing_programs:
      description: Those of O(programs) that are not there.
      type: list
      elements: str
      sample: [keepalived]
    missing_files:
      description: Those of O(files) that are not there.
      type: list
      elements: str
      sample: []
    units:
      description: C(active), C(enabled) and C(loaded) of each of O(units), as systemd names them.
      type: dict
      sample: {"haproxy.service": {"active": "active", "enabled": "enabled", "loaded": "loaded"}}
    can_authenticate:
      description: Whether the kernel has the authentication header of IPsec.
      type: bool
      sample: true
    serving:
      description: Whether O(health_url) answered 200.
      type: bool
      sample: true
    applied:
      description: The SHA-256 of each of those files, by its path; empty where nothing was noted.
      type: dict
      sample:
        /etc/holdfast/control_plane_lb/haproxy.cfg: 2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae
    journal:
      description: The last lines of O(units); empty where the balancer serves.
      type: list
      elements: str
      sample: []
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.holdfast.edge.plugins.module_utils._control_plane_lb import UNITS, Wanted, look


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "address": {"type": "str", "required": True},
            "vip": {"type": "str", "required": True},
            "units": {"type": "list", "elements": "str", "default": list(UNITS)},
            "programs": {"type": "list", "elements": "str", "default": ["haproxy", "keepalived"]},
            "files": {"type": "list", "elements": "str", "default": []},
            "health_url": {"type": "str", "default": ""},
            "wait_seconds": {"type": "int", "default": 0},
            "applied": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    asked = module.params
    wanted = Wanted(
        address=asked["address"],
        vip=asked["vip"],
        units=tuple(asked["units"]),
        programs=tuple(asked["programs"]),
        files=tuple(asked["files"]),
        health_url=asked["health_url"],
        wait_seconds=asked["wait_seconds"],
        applied=asked["applied"],
    )
    module.exit_json(changed=False, balancer=look(wanted).as_dict())


if __name__ == "__main__":
    main()
