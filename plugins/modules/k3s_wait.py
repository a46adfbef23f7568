#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The Holdfast authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Wait until a node that was started is Ready."""

from __future__ import annotations

DOCUMENTATION = r"""
module: k3s_wait
short_description: Wait until a node that was started is Ready
version_added: 0.1.0
description:
  - Returns when the service runs, on a server its API is ready, and the Node is Ready by the word of a kubelet of
    this start.
  - Where that takes too long it fails with the lines of the node's own journal and with what is known about them.
  - It fails at once for what no waiting mends, such as a token that is not the datastore's.
author: The Holdfast authors (@holdfast)
options:
  kind:
    description: What the node is.
    type: str
    choices: [server, agent]
    required: true
  name:
    description: The node's name in the cluster.
    type: str
    required: true
  version:
    description: The version that the kubelet must say it is; empty for any.
    type: str
    default: ""
  seconds:
    description: How long is waited at most.
    type: int
    default: 180
attributes:
  check_mode:
    description: Does not wait in check mode, since nothing was started.
    support: full
  diff_mode:
    description: Has nothing to show, since it changes nothing.
    support: N/A
  idempotent:
    description: Changes nothing, however often it runs.
    support: full
"""

EXAMPLES = r"""
- name: Wait until the server is a node
  holdfast.edge.k3s_wait:
    kind: server
    name: "{{ inventory_hostname }}"
    seconds: 240
"""

RETURN = r"""
waited_seconds:
  description: How long it took.
  returned: success
  type: float
  sample: 11.5
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.holdfast.edge.plugins.module_utils._k3s.errors import K3sError
from ansible_collections.holdfast.edge.plugins.module_utils._k3s.wait import Wait, wait


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "kind": {"type": "str", "choices": ["server", "agent"], "required": True},
            "name": {"type": "str", "required": True},
            "version": {"type": "str", "default": ""},
            "seconds": {"type": "int", "default": 180},
        },
        supports_check_mode=True,
    )
    if module.check_mode:
        module.exit_json(changed=False, waited_seconds=0.0)
    try:
        waited = wait(Wait(**module.params))
    except K3sError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, waited_seconds=round(waited, 1))


if __name__ == "__main__":
    main()
