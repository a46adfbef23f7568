#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The Holdfast authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring a backup from the store to a folder."""

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_fetch
short_description: Bring a backup from the store to a folder
version_added: 0.1.0
description:
  - Finds the newest backup of a site in a store that speaks S3, or one by its name, and proves that what came is whole.
author: The Holdfast authors (@holdfast)
options:
  path:
    description: The folder on the machine where this runs.
    type: path
    required: true
  site:
    description: The site whose backups are looked for.
    type: str
    required: true
  name:
    description: Name of a backup; the newest where it is empty.
    type: str
    default: ""
  endpoint:
    description: Address of the store.
    type: str
    required: true
  bucket:
    description: Bucket that the backups are in.
    type: str
    required: true
  prefix:
    description: Folder in the bucket that the backups are in.
    type: str
    default: ""
  region:
    description: Region of the bucket.
    type: str
    default: us-east-1
  access_key:
    description: Who asks.
    type: str
    required: true
  secret_key:
    description: The key that signs what is asked.
    type: str
    required: true
  ca_file:
    description: File of the CA that signed the store's certificate; empty for those that the machine trusts.
    type: str
    default: ""
attributes:
  check_mode:
    description: Finds the backup and brings nothing.
    support: full
  diff_mode:
    description: Shows the name of what comes.
    support: full
  idempotent:
    description: Brings nothing that is already there and whole.
    support: full
"""

EXAMPLES = r"""
- name: Have the newest backup
  holdfast.edge.backup_fetch:
    path: /tmp/backups
    site: edge7
    endpoint: https://s3.example.net
    bucket: backups
    access_key: AKEXAMPLE
    secret_key: "{{ backup_s3_secret_key }}"
"""

RETURN = r"""
path:
  description: The backup on this machine.
  returned: success
  type: str
  sample: /tmp/backups/edge7-20261121T140000Z-node1.backup.tar
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.holdfast.edge.plugins.module_utils._backup.errors import BackupError
from ansible_collections.holdfast.edge.plugins.module_utils._backup.fetch import STORE_OPTIONS, fetch
from ansible_collections.holdfast.edge.plugins.module_utils._s3.errors import StoreError


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "site": {"type": "str", "required": True},
            "name": {"type": "str", "default": ""},
            **STORE_OPTIONS,
        },
        supports_check_mode=True,
    )
    params = module.params
    try:
        done = fetch(
            {key: params[key] for key in STORE_OPTIONS},
            params["site"],
            params["name"],
            Path(params["path"]),
            module.check_mode,
        )
    except (BackupError, StoreError) as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(
            msg=f"The backup could not be written to {params['path']}: {error}. Put that right, then run this again."
        )
    module.exit_json(
        changed=done.changed,
        path=str(done.path),
        diff={"before": "", "after": f"{done.path}\n" if done.changed else ""},
    )


if __name__ == "__main__":
    main()
