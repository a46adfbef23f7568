#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The Holdfast authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell for whom a site's backups are sealed."""

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_keys
short_description: Tell for whom a site's backups are sealed
version_added: 0.1.0
description:
  - Runs on the controller. Gives the recipients that are named, or those of an identity that it makes once where
    none is named.
  - That identity rests in O(secrets_path) and travels in each backup, both times sealed with the vault secret of
    the play.
  - With O(secrets) it also seals what the controller keeps of the site, so that a backup can bring it back.
author: The Holdfast authors (@holdfast)
options:
  secrets_path:
    description: The controller's folder with the secrets of the site.
    type: path
    required: true
  bundle_path:
    description: The bundle, which has age for the controller too.
    type: path
    required: true
  recipients:
    description: Public keys of age.
    type: list
    elements: str
    default: []
  secrets:
    description: Seal the controller's secrets of the site too.
    type: bool
    default: false
  required:
    description: Whether it is a failure that nothing can be sealed; without it RV(problem) tells.
    type: bool
    default: true
attributes:
  check_mode:
    description: Makes no identity, and gives a placeholder where there is none.
    support: full
  diff_mode:
    description: Has nothing that may be shown.
    support: none
  idempotent:
    description: Makes an identity once.
    support: full
"""

EXAMPLES = r"""
- name: Have the recipients
  holdfast.edge.backup_keys:
    secrets_path: ~/.local/share/holdfast/sites/edge7
    bundle_path: ~/.cache/holdfast/bundle
  register: keys
"""

RETURN = r"""
recipients:
  description: Public keys of age.
  returned: success
  type: list
  elements: str
  sample: [age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p]
identity_vault:
  description: The identity, sealed with Ansible Vault; empty where recipients were named.
  returned: success
  type: str
  sample: ""
controller_part:
  description: The controller's secrets, sealed for the recipients, as base64.
  returned: success
  type: str
  sample: ""
problem:
  description: Why nothing can be sealed; empty where it can.
  returned: success
  type: str
  sample: ""
"""

from ansible.module_utils.basic import AnsibleModule


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "secrets_path": {"type": "path", "required": True},
            "bundle_path": {"type": "path", "required": True},
            "recipients": {"type": "list", "elements": "str", "default": []},
            "secrets": {"type": "bool", "default": False},
            "required": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    module.fail_json(msg="backup_keys runs on the controller, through the action plugin of its name.")


if __name__ == "__main__":
    main()
