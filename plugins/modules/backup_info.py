#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The Holdfast authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell which backups a node keeps, and whether it could make one."""

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_info
short_description: Tell which backups a node keeps, and whether it could make one
version_added: 0.1.0
description:
  - Reads the folder of backups and asks etcd for its members, in one step.
  - Changes nothing.
author: The Holdfast authors (@holdfast)
options:
  settings_path:
    description: The file that role C(backup) wrote on the node.
    type: path
    default: /etc/holdfast/backup/settings.json
  path:
    description: The folder of backups, where the node has no settings yet.
    type: path
    default: /var/lib/holdfast/backups
  ask_etcd:
    description: Ask etcd too; without it nothing leaves the node.
    type: bool
    default: true
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
- name: Look at the backups of a node
  holdfast.edge.backup_info:
  register: result
"""

RETURN = r"""
configured:
  description: Whether the node has settings and could make a backup without a controller.
  returned: success
  type: bool
  sample: true
backups:
  description: What lies in the folder, the newest first.
  type: list
  elements: dict
  returned: success
  contains:
    name:
      description: Name of the file.
      type: str
      sample: edge7-20261121T140000Z-node1.backup.tar
    path:
      description: Where it lies.
      type: str
      sample: /var/lib/holdfast/backups/edge7-20261121T140000Z-node1.backup.tar
    size:
      description: Its bytes.
      type: int
      sample: 3145728
    site:
      description: The site that it is of.
      type: str
      sample: edge7
    node:
      description: The node that made it.
      type: str
      sample: node1
    created:
      description: When it was made.
      type: str
      sample: "2026-11-21T14:00:00Z"
    etcd_version:
      description: Version of etcd at that time.
      type: str
      sample: 3.6.14
    k3s_version:
      description: Version of k3s at that time.
      type: str
      sample: 1.36.4+k3s1
    sent:
      description: The store that has it; empty while it waits.
      type: str
      sample: https://s3.example.net/backups/edge7
waiting:
  description: Names of those that the store does not have yet.
  returned: success
  type: list
  elements: str
  sample: []
member:
  description: The member of etcd that a backup would be taken from now; empty where none is fit.
  returned: success
  type: str
  sample: https://10.0.0.12:2379
leads:
  description: Whether this node's own member leads.
  returned: success
  type: bool
  sample: false
problem:
  description: Why this node could not make a backup now; empty where it could.
  returned: success
  type: str
  sample: ""
"""

from pathlib import Path
from urllib.parse import urlsplit

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.holdfast.edge.plugins.module_utils._backup import etcd
from ansible_collections.holdfast.edge.plugins.module_utils._backup.errors import BackupError
from ansible_collections.holdfast.edge.plugins.module_utils._backup.settings import SETTINGS, Settings
from ansible_collections.holdfast.edge.plugins.module_utils._backup.shelf import kept, waiting
from ansible_collections.holdfast.edge.plugins.module_utils._s3.errors import StoreError


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "settings_path": {"type": "path", "default": SETTINGS},
            "path": {"type": "path", "default": "/var/lib/holdfast/backups"},
            "ask_etcd": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    folder = Path(module.params["path"])
    told = {"configured": False, "waiting": [], "member": "", "leads": False, "problem": ""}
    try:
        settings = Settings.read(Path(module.params["settings_path"]))
        folder = settings.folder
        told["configured"] = True
        told["waiting"] = [entry.path.name for entry in waiting(settings)]
        if module.params["ask_etcd"]:
            found, said = etcd.members(settings)
            own = settings.nodes.get(settings.node, "")
            best = etcd.choose(found, own)
            told["member"] = best.endpoint if best else ""
            told["leads"] = any(each.leader and urlsplit(each.endpoint).hostname == own for each in found)
            told["problem"] = "" if best else f"no member of etcd is fit for a snapshot: {said}"
    except (BackupError, StoreError) as error:
        told["problem"] = str(error)
    module.exit_json(changed=False, backups=[entry.as_dict() for entry in kept(folder)], **told)


if __name__ == "__main__":
    main()
