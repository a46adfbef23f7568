#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The Holdfast authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Make a sealed backup of a site on one of its servers."""

from __future__ import annotations

DOCUMENTATION = r"""
module: backup
short_description: Make a sealed backup of a site on one of its servers
version_added: 0.1.0
description:
  - Takes a snapshot of etcd from a healthy member, rather a follower than the leader, proves it, and seals it with
    the token, the CAs
    and the configuration of k3s for the recipients that the node's settings name.
  - What is not sealed yet stays in memory or in a tmpfs. A backup that cannot be finished leaves no file.
author: The Holdfast authors (@holdfast)
options:
  settings_path:
    description: The file that role C(backup) wrote on the node.
    type: path
    default: /etc/holdfast/backup/settings.json
  controller_part:
    description:
      - What the controller adds, sealed and as base64; RV(holdfast.edge.backup_keys#module:controller_part)
        gives it.
    type: str
    default: ""
attributes:
  check_mode:
    description: Looks for a member that is fit, and makes nothing.
    support: full
  diff_mode:
    description: Has nothing that may be shown.
    support: none
  idempotent:
    description: Makes a new backup each time.
    support: none
seealso:
  - module: holdfast.edge.backup_shelf
  - module: holdfast.edge.backup_open
"""

EXAMPLES = r"""
- name: Make a backup
  holdfast.edge.backup:
  register: result
"""

RETURN = r"""
path:
  description: The backup on the node.
  returned: success, but not in check mode
  type: str
  sample: /var/lib/holdfast/backups/edge7-20261121T140000Z-node1.backup.tar
size:
  description: Its bytes.
  returned: success, but not in check mode
  type: int
  sample: 3145728
sha256:
  description: Its SHA-256.
  returned: success, but not in check mode
  type: str
  sample: 2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae
member:
  description: The member that gives, or gave, the snapshot.
  returned: success
  type: str
  sample: https://10.0.0.12:2379
revision:
  description: The revision of the snapshot.
  returned: success, but not in check mode
  type: int
  sample: 4711
keys:
  description: Keys in the snapshot.
  returned: success, but not in check mode
  type: int
  sample: 812
"""

import base64
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.holdfast.edge.plugins.module_utils._backup.errors import BackupError
from ansible_collections.holdfast.edge.plugins.module_utils._backup.make import healthy_member, make
from ansible_collections.holdfast.edge.plugins.module_utils._backup.settings import SETTINGS, Settings


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "settings_path": {"type": "path", "default": SETTINGS},
            # It is sealed, and long.
            "controller_part": {"type": "str", "default": "", "no_log": True},
        },
        supports_check_mode=True,
    )
    try:
        settings = Settings.read(Path(module.params["settings_path"]))
        if module.check_mode:
            module.exit_json(changed=True, member=healthy_member(settings).endpoint)
        made = make(settings, base64.b64decode(module.params["controller_part"]))
    except (BackupError, ValueError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(
        changed=True,
        path=str(made.path),
        size=made.size,
        sha256=made.sha256,
        member=made.member.endpoint,
        revision=made.snapshot.revision,
        keys=made.snapshot.keys,
    )


if __name__ == "__main__":
    main()
