#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The Holdfast authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Change one member of etcd behind a gate."""

from __future__ import annotations

DOCUMENTATION = r"""
module: etcd_member
short_description: Change one member of etcd behind a gate
version_added: 0.1.0
description:
  - Waits until the cluster allows the change, makes it, and waits for what comes of it.
  - A wait that ends without success fails with what each member said and this node's last journal lines.
  - Asks the cluster from this node, with its client certificate, through its own member or, where that does not
    answer, the others.
author: The Holdfast authors (@holdfast)
options:
  name:
    description: The member's name.
    type: str
    required: true
  members:
    description: The address of every member that there should be, by its name.
    type: dict
    required: true
  state:
    description:
      - V(healthy) waits until every member is well and none learns; with O(version), until this one runs that.
      - V(serving) waits until this member is well, whatever the others are; with O(version), until it runs that.
      - V(spared) waits until the others can do without this member.
      - V(released) waits until the others can do without this member, and lets another one lead.
      - V(joined) has an entry for a member without data, as a learner. Where one is listed whose data are gone, it
        is taken out first.
      - V(promoted) waits until this member has learnt what the others know, and gives it a vote.
      - V(absent) takes a member out for good; its name or its identity may be given.
      - V(defragmented) gives unused space of this node's member back to the file system, and takes the alarm about its
        quota back.
    type: str
    choices: [healthy, serving, spared, released, joined, promoted, absent, defragmented]
    required: true
  version:
    description: The version that the member must run with O(state=healthy) or O(state=serving).
    type: str
    default: ""
  wait_seconds:
    description: How long to wait for the cluster.
    type: float
    default: 60
  more_than:
    description: With O(state=defragmented), the share of unused space from which it is worth it.
    type: float
    default: 0.4
  least_bytes:
    description: With O(state=defragmented), the size of the data from which it is worth it.
    type: int
    default: 67108864
attributes:
  check_mode:
    description: Looks at the gate once, tells what would be done, and does nothing.
    support: full
  diff_mode:
    description: Has nothing to show.
    support: none
  idempotent:
    description: Does nothing where the member is as it should be.
    support: full
"""

EXAMPLES = r"""
- name: Let another member lead, if the cluster can do without this one
  holdfast.edge.etcd_member:
    name: edge-1
    members: {edge-1: 10.0.0.11, edge-2: 10.0.0.12, edge-3: 10.0.0.13}
    state: released
"""

RETURN = r"""
leader:
  description: Who leads.
  returned: O(state=healthy), O(state=serving) or O(state=released)
  type: str
  sample: edge-2
cluster:
  description: The cluster's identity.
  returned: O(state=healthy) or O(state=serving)
  type: str
  sample: 7f3a1c20d94b8e15
initial_cluster:
  description: The members as the new one is to be told of them.
  returned: O(state=joined)
  type: str
  sample: edge-1=https://10.0.0.11:2380,edge-2=https://10.0.0.12:2380
removed:
  description: The identity that was taken out; empty for none.
  returned: O(state=joined) or O(state=absent)
  type: str
size_before:
  description: The size of the data before, in bytes.
  returned: O(state=defragmented)
  type: int
size_after:
  description: The size of the data afterwards, in bytes.
  returned: O(state=defragmented)
  type: int
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.holdfast.edge.plugins.module_utils._etcd.change import Datastore, Wish
from ansible_collections.holdfast.edge.plugins.module_utils._etcd.errors import EtcdError

STATES = ("healthy", "serving", "spared", "released", "joined", "promoted", "absent", "defragmented")


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "members": {"type": "dict", "required": True},
            "state": {"type": "str", "choices": list(STATES), "required": True},
            "version": {"type": "str", "default": ""},
            "wait_seconds": {"type": "float", "default": 60},
            "more_than": {"type": "float", "default": 0.4},
            "least_bytes": {"type": "int", "default": 67108864},
        },
        supports_check_mode=True,
    )
    given = dict(module.params)
    state = given.pop("state")
    try:
        result = getattr(Datastore(Wish(**given), check_mode=module.check_mode), state)()
    except EtcdError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
