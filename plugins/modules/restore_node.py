#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The Holdfast authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put what a backup holds where etcd and k3s of a node find it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: restore_node
short_description: Put what a backup holds where etcd and k3s of a node find it
version_added: 0.1.0
description:
  - The node's part of a restore. M(holdfast.edge.backup_open) brings what is needed into the node's memory first.
  - Neither etcd nor k3s may run on the node meanwhile. What was there before is put aside beside it.
author: The Holdfast authors (@holdfast)
options:
  path:
    description: Folder in a tmpfs that the files come to.
    type: path
    default: /run/holdfast-restore
  state:
    description: What to do.
    type: str
    choices:
      looked: Tell what lies on the node already; changes nothing.
      emptied: Put the data of a member of etcd aside, so that it begins anew.
      prepared: Make O(path) anew, for the user who connects.
      restored: Prove what is in O(path) and put it in place.
      cleared: Remove O(path).
    required: true
  etcd:
    description: This node as a member of etcd; left out where it is none.
    type: dict
    suboptions:
      name:
        description: Name of the member.
        type: str
        required: true
      cluster:
        description: Every member and its peer address.
        type: dict
        required: true
      token:
        description: Name of the new cluster, equal on all members and never used before.
        type: str
        required: true
      data:
        description: Folder of the member's data.
        type: path
        default: /var/lib/etcd
      owner:
        description: User and group that etcd runs as.
        type: str
        default: root
      etcdutl:
        description: The program that restores.
        type: path
        default: /usr/local/bin/etcdutl
      bump:
        description:
          - How many revisions to leave out, so that no client that saw a later one meets it again with another content.
          - The revisions below are marked as compacted, so that each watch starts anew.
        type: int
        default: 1000000000
  etcd_data:
    description: For O(state=looked) and O(state=emptied), the folder of a member's data.
    type: path
    default: /var/lib/etcd
  k3s_data:
    description: Data folder of k3s; for O(state=restored) left out where the node is no server.
    type: path
attributes:
  check_mode:
    description: Changes nothing and tells whether data are in the way.
    support: full
  diff_mode:
    description: Has nothing that may be shown.
    support: none
  idempotent:
    description: Restores each time.
    support: none
"""

EXAMPLES = r"""
- name: Put the backup in place
  holdfast.edge.restore_node:
    state: restored
    etcd:
      name: node1
      cluster:
        node1: https://10.0.0.11:2380
      token: restored-20261121
    k3s_data: /var/lib/rancher/k3s
"""

RETURN = r"""
data:
  description: Folders that hold data of a site.
  returned: O(state=looked)
  type: list
  elements: str
  sample: [/var/lib/etcd]
units:
  description: Services of a site that the node has.
  returned: O(state=looked)
  type: list
  elements: str
  sample: [k3s, etcd]
placed:
  description: Files of k3s that were put in place.
  returned: success
  type: list
  elements: str
  sample: [/var/lib/rancher/k3s/server/tls/server-ca.crt]
"""

import os
import shutil
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.holdfast.edge.plugins.module_utils._backup import restore
from ansible_collections.holdfast.edge.plugins.module_utils._backup.errors import BackupError

MEMBER: dict[str, dict[str, Any]] = {
    "name": {"type": "str", "required": True},
    "cluster": {"type": "dict", "required": True},
    # The name of a cluster is no secret.
    "token": {"type": "str", "required": True, "no_log": False},
    "data": {"type": "path", "default": "/var/lib/etcd"},
    "owner": {"type": "str", "default": "root"},
    "etcdutl": {"type": "path", "default": "/usr/local/bin/etcdutl"},
    "bump": {"type": "int", "default": 1000000000},
}


def place(params: dict[str, Any], folder: Path) -> list[str]:
    manifest = restore.unpack(folder)
    if params["etcd"]:
        given = dict(params["etcd"])
        given["data"] = Path(given["data"])
        restore.restore_etcd(folder, restore.Member(peer_url=given["cluster"][given["name"]], **given))
    return restore.restore_k3s(folder, manifest, Path(params["k3s_data"])) if params["k3s_data"] else []


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "default": "/run/holdfast-restore"},
            "state": {
                "type": "str",
                "choices": ["looked", "emptied", "prepared", "restored", "cleared"],
                "required": True,
            },
            "etcd_data": {"type": "path", "default": "/var/lib/etcd"},
            "etcd": {"type": "dict", "options": MEMBER},
            "k3s_data": {"type": "path"},
        },
        supports_check_mode=True,
    )
    params, folder = module.params, Path(module.params["path"])
    placed: list[str] = []
    data = Path(params["etcd_data"])
    changed = params["state"] != "cleared" or folder.exists()
    if params["state"] == "looked":
        module.exit_json(changed=False, **restore.look(data, Path(params["k3s_data"] or "/var/lib/rancher/k3s")))
    try:
        if module.check_mode:
            module.exit_json(changed=changed, placed=[])
        if params["state"] == "emptied":
            changed = restore.put_aside(data)
        elif params["state"] == "prepared":
            # With sudo the files are brought by the user who connects, not by root.
            restore.prepare(folder, int(os.environ.get("SUDO_UID", "0")), int(os.environ.get("SUDO_GID", "0")))
        elif params["state"] == "restored":
            placed = place(params, folder)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    except BackupError as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(msg=f"The system refused: {error}. Put that right, then run the restore again.")
    module.exit_json(changed=changed, placed=placed)


if __name__ == "__main__":
    main()
