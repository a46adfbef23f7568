#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The Holdfast authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make the one member that is left of a datastore a datastore of its own."""

from __future__ import annotations

DOCUMENTATION = r"""
module: recover_etcd
short_description: Make the one member that is left of a datastore a datastore of its own
version_added: 0.1.0
description:
  - Starts etcd once as the only member, on the data of a member whose fellows are gone for good, and stops it again.
  - A copy of the data as they were stays in C(.before-recovery) beside them.
  - What was written to the others and never reached this member is lost. As long as a quorum can come back, wait for
    it instead.
author: The Holdfast authors (@holdfast)
options:
  name:
    description: Name of the member.
    type: str
    required: true
  endpoint:
    description: Where it serves clients.
    type: str
    required: true
  data:
    description: Folder of its data.
    type: path
    default: /var/lib/etcd
  wait_seconds:
    description: How long it may take to serve.
    type: float
    default: 600
attributes:
  check_mode:
    description: Changes nothing.
    support: full
  diff_mode:
    description: Has nothing that may be shown.
    support: none
  idempotent:
    description: Recovers each time.
    support: none
"""

EXAMPLES = r"""
- name: Go on with what is left
  holdfast.edge.recover_etcd:
    name: node1
    endpoint: https://10.0.0.11:2379
"""

RETURN = r"""
revision:
  description: The revision that it goes on from.
  returned: success, but not in check mode
  type: int
  sample: 4711
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.holdfast.edge.plugins.module_utils._backup.errors import BackupError
from ansible_collections.holdfast.edge.plugins.module_utils._backup.recover import Survivor, recover


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "endpoint": {"type": "str", "required": True},
            "data": {"type": "path", "default": "/var/lib/etcd"},
            "wait_seconds": {"type": "float", "default": 600},
        },
        supports_check_mode=True,
    )
    if module.check_mode:
        module.exit_json(changed=True)
    params = module.params
    survivor = Survivor(params["name"], params["endpoint"], Path(params["data"]), seconds=params["wait_seconds"])
    try:
        revision = recover(survivor)
    except BackupError as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(msg=f"The system refused: {error}. Put that right, then run this again.")
    module.exit_json(changed=True, revision=revision)


if __name__ == "__main__":
    main()
