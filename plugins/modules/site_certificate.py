#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The Holdfast authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Have a certificate of the site on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: site_certificate
short_description: Have a certificate of the site on the controller
version_added: 0.1.0
description:
  - Keeps a certificate of a server and its key in the controller's folder of secrets, signed by an authority of the
    site that is kept there too. What is missing is made.
  - Both files are for the user alone and are sealed with Ansible Vault where the play has a vault secret. What clients
    need, the authority's certificate, lies beside them as C(AUTHORITY.crt), open to read.
  - The certificate is made anew when little of its life is left, when its names differ, and when another authority
    signs now.
  - Runs on the controller; no node is asked. Its result is never shown. Needs the Python library cryptography, which
    ansible-core has.
author: The Holdfast authors (@holdfast)
options:
  path:
    description: The folder of secrets on the controller. It is made where it is not there.
    type: path
    required: true
  name:
    description: The name of the certificate, which is that of its file, and its common name.
    type: str
    required: true
  authority:
    description: The name of the authority that signs, and of its file. It lives ten years. It is made where there never
      was one; see O(replace_authority).
    type: str
    required: true
  names:
    description: Names and addresses that the certificate is good for.
    type: list
    elements: str
    required: true
  days:
    description: For how many days, 365 at most.
    type: int
    default: 365
  renew_share:
    description: Made anew when less than this share of its life is left.
    type: float
    default: 0.3
  served:
    description: The certificate that clients are served now, as PEM. Without it, C(AUTHORITY.crt) tells whom they
      trust.
    type: str
    default: ""
  replace_authority:
    description: Whether an authority may sign that clients do not trust yet, as when the file of the one before is
      lost. Every client then needs the new C(AUTHORITY.crt). Without it, such a run is refused.
    type: bool
    default: false
attributes:
  check_mode:
    description: Writes nothing. What would be made is made and forgotten at once.
    support: full
  diff_mode:
    description: Has nothing that may be shown.
    support: N/A
  idempotent:
    description: Makes a certificate when it is due only.
    support: full
"""

EXAMPLES = r"""
- name: Have the certificate of the gateways
  holdfast.edge.site_certificate:
    path: ~/.local/share/holdfast/sites/demo
    name: inference-gateway
    authority: inference-ca
    names: [192.0.2.10, 192.0.2.11, answers.example.org]
  register: signed
"""

RETURN = r"""
certificate:
  description: The certificate as PEM.
  returned: success
  type: str
  sample: "-----BEGIN CERTIFICATE-----…"
key:
  description: Its key as PEM.
  returned: success
  type: str
  sample: "-----BEGIN PRIVATE KEY-----…"
authority:
  description: The authority's certificate as PEM.
  returned: success
  type: str
  sample: "-----BEGIN CERTIFICATE-----…"
authority_path:
  description: The file on the controller with the authority's certificate, for clients.
  returned: success
  type: str
  sample: /home/operator/.local/share/holdfast/sites/demo/inference-ca.crt
reason:
  description: Why the certificate was made anew; empty where it was not.
  returned: success
  type: str
  sample: its names are not those that are asked for
"""

from ansible.module_utils.basic import AnsibleModule


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "name": {"type": "str", "required": True},
            "authority": {"type": "str", "required": True},
            "names": {"type": "list", "elements": "str", "required": True},
            "days": {"type": "int", "default": 365},
            "renew_share": {"type": "float", "default": 0.3},
            "served": {"type": "str", "default": ""},
            "replace_authority": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    module.fail_json(
        msg="site_certificate runs on the controller, through the action plugin of its name; a node is never given it."
    )


if __name__ == "__main__":
    main()
