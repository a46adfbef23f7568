#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The Holdfast authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sign a bundle, or judge who signed it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: bundle_signature
short_description: Sign a bundle, or judge who signed it
version_added: 0.1.0
description:
  - With O(key), signs C(bundle.json), which holds the SHA-256 of every file of the bundle. Each image that is an OCI
    layout is signed too, as cosign reads it. Signatures of this key that are right stay as they are.
  - Without O(key), fails unless one of the keys of the variable C(bundle_public_keys) signed the bundle. Where that
    variable names none, nothing is judged, and it is said.
  - It signs what C(bundle.json) says. That the files are so is proved by M(holdfast.edge.bundle) before, and again
    whenever one is used.
  - Runs on the controller; no node is asked. Needs the Python library cryptography, which ansible-core has.
author: The Holdfast authors (@holdfast)
options:
  path:
    description: The bundle's folder.
    type: path
    required: true
  key:
    description: The file of a private key of the curve P-256 as PEM. It may be sealed with a passphrase, or as a whole
      with Ansible Vault.
    type: path
    default: ""
  passphrase:
    description: What opens O(key); empty where it is not sealed with one.
    type: str
    default: ""
attributes:
  check_mode:
    description: Writes nothing, and tells which signatures would be made.
    support: full
  diff_mode:
    description: Shows which signatures are made.
    support: full
  idempotent:
    description: Signs only what this key has not signed yet.
    support: full
seealso:
  - module: holdfast.edge.bundle
"""

EXAMPLES = r"""
- name: Sign the bundle
  holdfast.edge.bundle_signature:
    path: /srv/holdfast/bundle
    key: ~/keys/bundle.key
    passphrase: "{{ lookup('ansible.builtin.env', 'HOLDFAST_SIGNING_PASSPHRASE') }}"

- name: Refuse a bundle that none of bundle_public_keys signed
  holdfast.edge.bundle_signature:
    path: /srv/holdfast/bundle
"""

RETURN = r"""
signer:
  description: The first 16 digits of the SHA-256 of the signer's public key as DER; empty where nobody was asked for.
  returned: success
  type: str
  sample: sha256:0f343b0931126a20
made:
  description: The signatures that were made, as paths below O(path).
  returned: success
  type: list
  elements: str
  sample: [amd64/images/inference-0.1.0.cosign.tar, bundle.json.sig]
summary:
  description: Who signed, in one line.
  returned: success
  type: str
"""

from ansible.module_utils.basic import AnsibleModule


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "key": {"type": "path", "default": "", "no_log": False},
            "passphrase": {"type": "str", "default": "", "no_log": True},
        },
        supports_check_mode=True,
    )
    module.fail_json(
        msg="bundle_signature runs on the controller, through the action plugin of its name; a node is never given it."
    )


if __name__ == "__main__":
    main()
