#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The Holdfast authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Issue certificates of the datastore on the controller."""

from __future__ import annotations

DOCUMENTATION = r"""
module: etcd_certificates
short_description: Issue certificates of the datastore on the controller
version_added: 0.1.0
description:
  - Keeps the certificate authority of a site's etcd in the controller's folder of secrets, and signs certificates
    with it.
  - The authority is made where it is not there, for ten years, with a key of the curve P-256, and signs no other
    authority.
  - Its file C(etcd-ca.pem) is for the user alone and is sealed with Ansible Vault where the play has a vault secret.
    Its key goes to no node.
  - Every certificate gets a key of its own, which lives in the memory of the controller until the node has it.
  - Signs whatever it is asked for, at each call. Whether a certificate is due is told by M(holdfast.edge.etcd_info).
  - Runs on the controller; no node is asked. Its result is never shown. Needs the Python library cryptography, which
    ansible-core has.
author: The Holdfast authors (@holdfast)
options:
  path:
    description: The folder of secrets on the controller. It is made where it is not there.
    type: path
    default: ""
  ca_certificate:
    description: The authority's certificate as PEM, in place of the one in O(path). More may follow that are to be
      trusted too.
    type: str
    default: ""
  ca_key:
    description: The key of O(ca_certificate) as PEM.
    type: str
    default: ""
  ca_name:
    description: The common name of an authority that is made.
    type: str
    default: etcd
  trusted:
    description:
      - Texts with the certificates that nodes trust at present. An authority that is not among them signs nothing,
        and none is made.
      - Empty where no node has one yet.
    type: list
    elements: str
    default: []
  rotate:
    description:
      - V(begin) makes a successor that is to be trusted and does not sign yet.
      - V(switch) lets the successor sign; the one before is still to be trusted, and its key is forgotten.
      - V(end) no longer trusts the one before.
    type: str
    choices: ["", begin, switch, end]
    default: ""
  certificates:
    description: What is wanted.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: Its name in RV(certificates).
        type: str
        required: true
      kind:
        description: V(server) and V(peer) are for members, V(client) for those who ask them.
        type: str
        choices: [server, peer, client]
        default: client
      common_name:
        description: The common name; without one it is the O(certificates[].name).
        type: str
        default: ""
      names:
        description: Names and addresses that it is good for.
        type: list
        elements: str
        default: []
      days:
        description: For how many days, 365 at most.
        type: int
        default: 365
attributes:
  check_mode:
    description: Writes nothing. Where there is no authority yet, the certificates are of one that is forgotten at once.
    support: full
  diff_mode:
    description: Has nothing that may be shown.
    support: N/A
  idempotent:
    description: The authority is made once; certificates are signed at each call.
    support: partial
"""

EXAMPLES = r"""
- name: Sign a certificate for a client
  holdfast.edge.etcd_certificates:
    path: ~/.local/share/holdfast/sites/demo
    certificates:
      - name: k3s
        kind: client
        common_name: k3s-server
  register: signed

- name: Bring it to the node
  holdfast.edge.node_files:
    files:
      - path: /etc/holdfast/k3s/etcd/ca.crt
        content: "{{ signed.ca_certificate }}"
      - path: /etc/holdfast/k3s/etcd/client.crt
        content: "{{ signed.certificates.k3s.certificate }}"
      - path: /etc/holdfast/k3s/etcd/client.key
        secret_content: "{{ signed.certificates.k3s.key }}"
"""

RETURN = r"""
ca_certificate:
  description: What is to be trusted, as PEM; more than one certificate while one authority takes over from another.
  returned: success
  type: str
  sample: "-----BEGIN CERTIFICATE-----"
ca_created:
  description: Whether the authority was made or changed now.
  returned: success
  type: bool
  sample: false
signer:
  description: The identifier of the key that signs, in hexadecimal digits; certificates name it as their authority's.
  returned: success
  type: str
  sample: 0f1e2d
certificates:
  description: RV(ignore:certificate) and RV(ignore:key) as PEM, of each name that was asked for.
  returned: success
  type: dict
  sample: {k3s: {certificate: "-----BEGIN CERTIFICATE-----", key: "-----BEGIN PRIVATE KEY-----"}}
"""

from ansible.module_utils.basic import AnsibleModule


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "default": ""},
            "ca_certificate": {"type": "str", "default": ""},
            "ca_key": {"type": "str", "default": "", "no_log": True},
            "ca_name": {"type": "str", "default": "etcd"},
            "trusted": {"type": "list", "elements": "str", "default": []},
            "rotate": {"type": "str", "choices": ["", "begin", "switch", "end"], "default": ""},
            "certificates": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "name": {"type": "str", "required": True},
                    "kind": {"type": "str", "choices": ["server", "peer", "client"], "default": "client"},
                    "common_name": {"type": "str", "default": ""},
                    "names": {"type": "list", "elements": "str", "default": []},
                    "days": {"type": "int", "default": 365},
                },
            },
        },
        supports_check_mode=True,
    )
    module.fail_json(
        msg="etcd_certificates runs on the controller, through the action plugin of its name; "
        "the authority's key goes to no node."
    )


if __name__ == "__main__":
    main()
