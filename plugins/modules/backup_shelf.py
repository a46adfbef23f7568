#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The Holdfast authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keep a folder of backups in order: prove new ones, send what waits, remove the oldest."""

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_shelf
short_description: Keep a folder of backups in order
version_added: 0.1.0
description:
  - Proves that a backup is whole, sends what waits to the store that the node's settings name, and removes all but
    the newest.
  - A store that cannot be reached is told in RV(problem) and is no failure, unless the settings ask for that. What
    was not sent
    stays and is sent by the next run.
  - Works on a folder of the controller too, where there are no settings and nothing is sent.
author: The Holdfast authors (@holdfast)
options:
  path:
    description: The folder of backups.
    type: path
    required: true
  site:
    description: The site whose backups are counted; those of other sites are left alone.
    type: str
    required: true
  keep:
    description: How many stay.
    type: int
    default: 7
  prove:
    description: Name of a backup in O(path) that must be there and be whole.
    type: str
  send:
    description: Send what waits, by the node's settings.
    type: bool
    default: false
  settings_path:
    description: The file that role C(backup) wrote on the node.
    type: path
    default: /etc/holdfast/backup/settings.json
attributes:
  check_mode:
    description: Sends and removes nothing, and tells what it would.
    support: full
  diff_mode:
    description: Shows what is removed.
    support: full
  idempotent:
    description: Changes nothing where nothing waits and no more than O(keep) are there.
    support: full
"""

EXAMPLES = r"""
- name: Keep seven backups, and send what waits
  holdfast.edge.backup_shelf:
    path: /var/lib/holdfast/backups
    site: edge7
    keep: 7
    send: true
"""

RETURN = r"""
backups:
  description: What lies in the folder now, the newest first.
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
sent:
  description: Names of those that were sent.
  returned: success
  type: list
  elements: str
  sample: [edge7-20261121T140000Z-node1.backup.tar]
waiting:
  description: Names of those that still wait.
  returned: success
  type: list
  elements: str
  sample: []
problem:
  description: Why they wait.
  returned: success
  type: str
  sample: ""
removed:
  description: Paths of those that were removed.
  returned: success
  type: list
  elements: str
  sample: []
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.holdfast.edge.plugins.module_utils._backup.errors import BackupError
from ansible_collections.holdfast.edge.plugins.module_utils._backup.settings import SETTINGS, Settings
from ansible_collections.holdfast.edge.plugins.module_utils._backup.shape import inspect
from ansible_collections.holdfast.edge.plugins.module_utils._backup.shelf import Sending, kept, prune, send, waiting
from ansible_collections.holdfast.edge.plugins.module_utils._s3.errors import StoreError


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "site": {"type": "str", "required": True},
            "keep": {"type": "int", "default": 7},
            "prove": {"type": "str"},
            "send": {"type": "bool", "default": False},
            "settings_path": {"type": "path", "default": SETTINGS},
        },
        supports_check_mode=True,
    )
    params, folder = module.params, Path(module.params["path"])
    sending, required = Sending(), False
    try:
        if params["prove"] and not module.check_mode:
            inspect(folder / params["prove"])
        if params["send"]:
            settings = Settings.read(Path(params["settings_path"]))
            required = settings.store_required
            if module.check_mode:
                sending = Sending(sent=tuple(entry.path.name for entry in waiting(settings)))
            else:
                sending = send(settings)
        if sending.problem and required:
            raise BackupError(
                f"{sending.problem} The backup lies in {folder} and waits; backup_s3_required makes this a failure."
            )
        removed = prune(folder, params["site"], params["keep"], dry=module.check_mode)
    except (BackupError, StoreError) as error:
        module.fail_json(msg=str(error))
    names = [path.name for path in removed]
    module.exit_json(
        changed=bool(sending.sent or removed),
        backups=[entry.as_dict() for entry in kept(folder, params["site"])],
        sent=list(sending.sent),
        waiting=list(sending.waiting),
        problem=sending.problem,
        removed=[str(path) for path in removed],
        diff={"before": "".join(f"{name}\n" for name in names), "after": ""},
    )


if __name__ == "__main__":
    main()
