#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The Holdfast authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Have a secret of the site on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: site_secret
short_description: Have a secret of the site on the controller
version_added: 0.1.0
description:
  - Reads a secret from a folder of the controller, and makes it where it is not there.
  - The folder and the file are for the user alone. Where the play has a vault secret, the file is sealed with Ansible
    Vault, one that was not sealed yet too.
  - Hosts that ask at once get the same secret, so no C(run_once) is needed.
  - Runs on the controller; no node is asked. Its result is never shown.
author: The Holdfast authors (@holdfast)
options:
  path:
    description: The folder of secrets on the controller. It is made where it is not there.
    type: path
    required: true
  name:
    description: The name of the secret, which is that of its file.
    type: str
    required: true
  kind:
    description:
      - What is made.
      - V(token) is hexadecimal digits, V(password) is letters and digits, V(bytes) is random bytes as base64.
    type: str
    choices: [token, password, bytes]
    default: token
  length:
    description: How many characters, or bytes before they become base64. At least 16.
    type: int
    default: 32
  value:
    description:
      - A value to keep in place of one that is made. What is there and differs is replaced.
      - A newline at the end of a single line is no part of it.
    type: str
    default: ""
attributes:
  check_mode:
    description: Writes nothing, and gives a placeholder where the secret is not there yet.
    support: full
  diff_mode:
    description: Has nothing that may be shown.
    support: N/A
  idempotent:
    description: Makes a secret once.
    support: full
"""

EXAMPLES = r"""
- name: Have the token of the cluster
  holdfast.edge.site_secret:
    path: ~/.local/share/holdfast/sites/demo
    name: k3s-token
  register: token
"""

RETURN = r"""
value:
  description: The secret; V(not-made-yet) in check mode where it is not there.
  returned: success
  type: str
  sample: 6d1f9be0c3a2458797ab0c2de4f01827
exists:
  description: Whether it is on the controller now.
  returned: success
  type: bool
  sample: true
path:
  description: The file that holds it.
  returned: success
  type: str
  sample: /home/operator/.local/share/holdfast/sites/demo/k3s-token
"""

from ansible.module_utils.basic import AnsibleModule


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "name": {"type": "str", "required": True},
            "kind": {"type": "str", "choices": ["token", "password", "bytes"], "default": "token"},
            "length": {"type": "int", "default": 32},
            "value": {"type": "str", "default": "", "no_log": True},
        },
        supports_check_mode=True,
    )
    module.fail_json(
        msg="site_secret runs on the controller, through the action plugin of its name; a node is never given it."
    )


if __name__ == "__main__":
    main()
