#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The Holdfast authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Change the token of a cluster of k3s."""

from __future__ import annotations

DOCUMENTATION = r"""
module: k3s_token
short_description: Change the token of a cluster of k3s
version_added: 0.1.0
description:
  - Lets the cluster's bootstrap data be encrypted with another token, as C(k3s token rotate) does.
  - That command wants the new token in its arguments, where every user of the node can read it, so the server is asked
    directly, on the node itself and by TLS.
  - What the token is now is read from the datastore, so a change that was cut short is recognised and not made twice.
  - Runs on a server. Afterwards every server needs the new token in its file and a restart, one after the other.
author: The Holdfast authors (@holdfast)
options:
  token:
    description: The token that counts now.
    type: str
    required: true
  new_token:
    description: The token that shall count.
    type: str
    required: true
  etcd_endpoints:
    description: Where the datastore answers.
    type: list
    elements: str
    required: true
attributes:
  check_mode:
    description: Tells whether the token would be changed and changes nothing.
    support: full
  diff_mode:
    description: Has nothing to show, since tokens are secret.
    support: none
  idempotent:
    description: Does nothing where the new token counts already.
    support: full
"""

EXAMPLES = r"""
- name: Change the token
  holdfast.edge.k3s_token:
    token: "{{ old }}"
    new_token: "{{ new }}"
    etcd_endpoints: [https://10.0.0.11:2379]
"""

RETURN = r"""#"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.holdfast.edge.plugins.module_utils._k3s.errors import K3sError
from ansible_collections.holdfast.edge.plugins.module_utils._k3s_token import Rotation


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "token": {"type": "str", "required": True, "no_log": True},
            "new_token": {"type": "str", "required": True, "no_log": True},
            "etcd_endpoints": {"type": "list", "elements": "str", "required": True},
        },
        supports_check_mode=True,
    )
    given = module.params
    try:
        rotation = Rotation(given["token"], given["new_token"], given["etcd_endpoints"])
        wanted = rotation.wanted()
        if wanted and not module.check_mode:
            rotation.run()
    except K3sError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=wanted)


if __name__ == "__main__":
    main()
