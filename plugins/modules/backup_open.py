#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The Holdfast authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Open a sealed backup on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_open
short_description: Open a sealed backup on the controller
version_added: 0.1.0
description:
  - Proves on the controller that a backup is whole and sealed for the identity that is given, and tells what it is.
  - With O(to) it brings what a node needs straight into the memory of that node. The identity never leaves the
    controller.
  - With O(secrets_path) it brings back those of the controller's secrets that are missing there, and the token that
    opens the backup.
author: The Holdfast authors (@holdfast)
options:
  path:
    description: The backup on the controller.
    type: path
    required: true
  bundle_path:
    description: The bundle, which has age for the controller too.
    type: path
    required: true
  identity_file:
    description:
      - File with an identity of age, which may be sealed with Ansible Vault.
      - Empty for a backup that carries its identity, sealed with Ansible Vault.
    type: path
    default: ""
  secrets_path:
    description: The controller's folder with the secrets of the site.
    type: path
  to:
    description: Folder in a tmpfs of the node.
    type: path
  replace:
    description: Let the token of the backup take the place of another one; the other is kept beside it.
    type: bool
    default: false
  site:
    description: The site that the backup must be of; empty for any.
    type: str
    default: ""
  other_site:
    description: Whether a backup of another site will do.
    type: bool
    default: false
  etcd_version:
    description: Version of etcd that will read the data; empty for the newest of the bundle.
    type: str
    default: ""
  k3s_version:
    description: Version of k3s that will read the data; empty for the newest of the bundle.
    type: str
    default: ""
attributes:
  check_mode:
    description: Proves and tells, and brings nothing.
    support: full
  diff_mode:
    description: Has nothing that may be shown.
    support: none
  idempotent:
    description: Changes nothing without O(to) where no secret is missing.
    support: partial
"""

EXAMPLES = r"""
- name: Prove a backup
  holdfast.edge.backup_open:
    path: edge7-20261121T140000Z-node1.backup.tar
    identity_file: ~/keys/backup.txt
    bundle_path: ~/.cache/holdfast/bundle
  register: backup
"""

RETURN = r"""
header:
  description: The C(site), the C(node) that made it and when it was C(created).
  returned: success
  type: dict
  sample: {site: edge7, node: node1, created: "2026-11-21T14:00:00Z"}
nodes:
  description: Every node of the site at that time and its address.
  returned: success
  type: dict
  sample: {node1: 10.0.0.11}
etcd:
  description: C(version), C(cluster_id), C(revision), C(keys) and C(hash) of the snapshot.
  returned: success
  type: dict
  sample: {version: 3.6.14, revision: 4711}
k3s:
  description: C(version) and C(server_ca_sha256).
  returned: success
  type: dict
  sample: {version: 1.36.4+k3s1}
files:
  description: Names of the files in it.
  returned: success
  type: list
  elements: str
  sample: [etcd/snapshot.db, k3s/token]
faults:
  description: Why the backup must not become this site, each as a sentence.
  returned: success
  type: list
  elements: str
  sample: []
secrets_back:
  description: Names of the controller's secrets that were brought back.
  returned: success
  type: list
  elements: str
  sample: []
"""

from ansible.module_utils.basic import AnsibleModule


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "bundle_path": {"type": "path", "required": True},
            "identity_file": {"type": "path", "default": ""},
            "secrets_path": {"type": "path"},
            "to": {"type": "path"},
            "replace": {"type": "bool", "default": False},
            "site": {"type": "str", "default": ""},
            "other_site": {"type": "bool", "default": False},
            "etcd_version": {"type": "str", "default": ""},
            "k3s_version": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    module.fail_json(msg="backup_open runs on the controller, through the action plugin of its name.")


if __name__ == "__main__":
    main()
