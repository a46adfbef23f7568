#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The Holdfast authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring a Node object to what is wanted, or take it out of the cluster."""

from __future__ import annotations

DOCUMENTATION = r"""
module: k3s_node
short_description: Bring a Node object to what is wanted, or take it out of the cluster
version_added: 0.1.0
description:
  - Sets labels and taints of a Node, and takes those away that it set before and that are no longer wanted.
  - Cordons a node and gives it back, without giving back what somebody else cordoned.
  - Takes a Node with its password out of the cluster, or its password only, so that a rebuilt host may use the name
    again.
  - Runs on a server, with the administrator's credentials that k3s keeps there. The node itself need not live.
author: The Holdfast authors (@holdfast)
options:
  name:
    description: The node's name in the cluster.
    type: str
    required: true
  state:
    description:
      - V(present) changes the Node; it must be there.
      - V(forgotten) takes away the cluster's memory of the node's password, and refuses that while the node lives.
      - V(absent) takes away the Node and its password.
    type: str
    choices: [present, forgotten, absent]
    default: present
  labels:
    description: All labels that the Node shall have of us. Without it they are left alone.
    type: dict
  taints:
    description: All taints that the Node shall have of us, as C(key=value:Effect). Without it they are left alone.
    type: list
    elements: str
  cordoned:
    description: V(true) lets no new pods in; V(false) gives back what this module cordoned, and only that.
    type: bool
attributes:
  check_mode:
    description: Tells what would change and changes nothing.
    support: full
  diff_mode:
    description: Shows the fields that differ.
    support: full
  idempotent:
    description: Changes only what differs.
    support: full
"""

EXAMPLES = r"""
- name: Label a node
  holdfast.edge.k3s_node:
    name: edge-1
    labels:
      edge: "true"

- name: Let a rebuilt host use its name again
  holdfast.edge.k3s_node:
    name: edge-1
    state: forgotten
"""

RETURN = r"""
patch:
  description: What was changed in the Node.
  returned: success
  type: dict
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.holdfast.edge.plugins.module_utils._k3s.errors import K3sError
from ansible_collections.holdfast.edge.plugins.module_utils._k3s.membership import Membership
from ansible_collections.holdfast.edge.plugins.module_utils._k3s.node_object import Wish


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "forgotten", "absent"], "default": "present"},
            "labels": {"type": "dict"},
            "taints": {"type": "list", "elements": "str"},
            "cordoned": {"type": "bool"},
        },
        supports_check_mode=True,
    )
    given = module.params
    membership = Membership(given["name"], check_mode=module.check_mode)
    try:
        if given["state"] == "present":
            change = membership.bring(Wish(given["labels"], given["taints"], given["cordoned"]))
        elif given["state"] == "forgotten":
            change = membership.forget_password()
        else:
            change = membership.remove()
    except K3sError as error:
        module.fail_json(msg=str(error))
    diff = {"diff": {"before": change.before, "after": change.after}} if module._diff and change.changed else {}
    module.exit_json(changed=change.changed, patch=change.patch, **diff)


if __name__ == "__main__":
    main()
