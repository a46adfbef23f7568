#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The Holdfast authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell what a node has of etcd, and how the cluster is."""

from __future__ import annotations

DOCUMENTATION = r"""
module: etcd_info
short_description: Tell what a node has of etcd, and how the cluster is
version_added: 0.1.0
description:
  - One look at a member of a site's datastore - program, unit, files, certificates - and at the cluster as it is
    seen from there.
  - The cluster is asked through this node's own member and, where that does not answer, through the others.
  - Changes nothing.
author: The Holdfast authors (@holdfast)
options:
  name:
    description: This member's name.
    type: str
    required: true
  members:
    description: The address of every member that there should be, by its name.
    type: dict
    required: true
  names:
    description: Names and addresses that this node's server and peer certificates should be good for; empty to
      accept what they have.
    type: list
    elements: str
    default: []
  renew_share:
    description: A certificate is due when less than this share of its life is left.
    type: float
    default: 0.3
  files:
    description: Paths whose SHA-256 is told.
    type: list
    elements: path
    default: []
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
- name: Look at the datastore
  holdfast.edge.etcd_info:
    name: edge-1
    members: {edge-1: 10.0.0.11, edge-2: 10.0.0.12, edge-3: 10.0.0.13}
  register: result

- name: Say what is wrong
  ansible.builtin.debug:
    msg: "{{ result.etcd.problems }}"
"""

RETURN = r"""
etcd:
  description: What was seen.
  returned: success
  type: dict
  contains:
    name:
      description: The member's name.
      type: str
      sample: edge-1
    architecture:
      description: The machine's architecture as the bundle names it.
      type: str
      sample: amd64
    state:
      description: V(running), V(stopped) where there is data, V(blank) where there is none.
      type: str
      sample: running
    installed:
      description: The version that C(current) leads to; empty for none.
      type: str
      sample: 3.6.14
    previous:
      description: The version that C(previous) leads to; empty for none.
      type: str
      sample: 3.5.33
    unlinked:
      description: Names of etcd's tools below C(/usr/local/bin) that do not lead to C(current).
      type: list
      elements: str
      sample: []
    running:
      description: The version that runs; empty for none.
      type: str
      sample: 3.6.14
    free_mb:
      description: Free space in MiB where the data are or will be.
      type: int
      sample: 51200
    unit:
      description: What systemd says of C(etcd.service).
      type: dict
    facts:
      description: What the role wrote down about this node.
      type: dict
    files:
      description: The SHA-256 of each of O(files); empty where there is none.
      type: dict
    config:
      description: The SHA-256 of the configuration without the lines that count at a first start only.
      type: str
    restart:
      description: Why the process does not run with what is on the disk; empty where it does.
      type: str
    certificates:
      description: Of C(server), C(peer), C(client) and C(ca), the days that are left, whether a new one is due, and
        why.
      type: dict
    authority:
      description: The certificates that this node trusts, as PEM.
      type: str
    cluster:
      description: Members with health, leader and sizes, alarms, and whether there is a quorum; null where nobody
        answers.
      type: dict
    faults:
      description: What no run may go on with, each as a sentence.
      type: list
      elements: str
    problems:
      description: All that is wrong, RV(etcd.faults) included, each as a sentence.
      type: list
      elements: str
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.holdfast.edge.plugins.module_utils._etcd.look import Wanted, look_at_node


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "members": {"type": "dict", "required": True},
            "names": {"type": "list", "elements": "str", "default": []},
            "renew_share": {"type": "float", "default": 0.3},
            "files": {"type": "list", "elements": "path", "default": []},
        },
        supports_check_mode=True,
    )
    given = module.params
    wanted = Wanted(
        name=given["name"],
        members=given["members"],
        names=tuple(given["names"]),
        renew_share=given["renew_share"],
        files=tuple(given["files"]),
    )
    module.exit_json(changed=False, etcd=look_at_node(wanted).as_dict())


if __name__ == "__main__":
    main()
