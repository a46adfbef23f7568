#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The Holdfast authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell what k3s is on a node, and how that differs from what is wanted."""

from __future__ import annotations

DOCUMENTATION = r"""
module: k3s_info
short_description: Tell what k3s is on a node, and how that differs from what is wanted
version_added: 0.1.0
description:
  - Reads in one step all that a node knows of its k3s, compares it with what is wanted, and says what is wrong as
    sentences.
  - The API is asked with the credentials that k3s keeps on the node itself, so nothing secret is sent there.
  - Changes nothing, and answers on a node where k3s never was too.
author: The Holdfast authors (@holdfast)
options:
  kind:
    description: What the node is.
    type: str
    choices: [server, agent]
    required: true
  name:
    description: The node's name in the cluster.
    type: str
    required: true
  bundle:
    description: What the filter P(holdfast.edge.k3s_in_bundle#filter) gave, by architecture. Without it no version is
      compared.
    type: dict
    default: {}
  files:
    description: What the filter P(holdfast.edge.file_digests#filter) gave.
    type: list
    elements: dict
    default: []
  labels:
    description: The labels that the Node shall have of us. Without it none are compared.
    type: dict
  taints:
    description: The taints that the Node shall have of us, as C(key=value:Effect). Without it none are compared.
    type: list
    elements: str
  servers:
    description: The addresses of all servers by their names; each but this node is asked whether it is ready.
    type: dict
    default: {}
  etcd_endpoints:
    description: Where the datastore answers. Without it nothing is said of it.
    type: list
    elements: str
    default: []
  etcd_authority:
    description: The authority of the datastore, on the node.
    type: path
    default: /etc/holdfast/k3s/etcd/ca.crt
  etcd_certificate:
    description: The certificate for the datastore, on the node.
    type: path
    default: /etc/holdfast/k3s/etcd/client.crt
  etcd_private:
    description: The key of that certificate, on the node.
    type: path
    default: /etc/holdfast/k3s/etcd/client.key
  etcd_signer:
    description:
      - The identifier of the key that signs for the datastore now, as
        RV(holdfast.edge.etcd_certificates#module:signer) tells it. A certificate that another one signed is due.
      - Empty means that it is not compared.
    type: str
    default: ""
  fingerprint:
    description:
      - The first twelve digits of the SHA-256 of the cluster's token, by which the datastore's data are recognised.
      - No secret; it stands in the names of the datastore's keys.
    type: str
    default: ""
  secrets_encryption:
    description: Whether secrets shall be encrypted in the datastore. Without it that is not compared.
    type: bool
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
- name: Look at the server
  holdfast.edge.k3s_info:
    kind: server
    name: "{{ inventory_hostname }}"
  register: result

- name: Say what is wrong
  ansible.builtin.debug:
    msg: "{{ result.k3s.problems }}"
"""

RETURN = r"""
k3s:
  description: What was seen.
  returned: success
  type: dict
  contains:
    plan:
      description:
        - What is to be done. V(start) what does not run, V(await) what is on its way, V(change) what runs with
          something else and needs a restart, V(write) what needs
          none, or V(none).
      type: str
      sample: none
    wanted:
      description: The version and the archives of images that the bundle has for this node's architecture.
      type: dict
    blank:
      description: Whether k3s never ran here.
      type: bool
    joined_by:
      description: The address by which an agent joined.
      type: str
    installed:
      description: The version that C(/usr/local/bin/k3s) leads to; V(foreign) for one that Holdfast did not bring.
      type: str
      sample: 1.36.4+k3s1
    running:
      description: The version that runs.
      type: str
      sample: 1.36.4+k3s1
    unit:
      description: What systemd says of the service.
      type: dict
    files_differ:
      description: Paths of O(files) that are not as wanted.
      type: list
      elements: str
    restart_for:
      description: What the running process was not started with, the version or paths.
      type: list
      elements: str
    images_missing:
      description: Archives that are not there.
      type: list
      elements: str
    images_old:
      description: Archives of earlier versions.
      type: list
      elements: str
    images_lost:
      description: Archives with images that were removed from the node since they were imported.
      type: list
      elements: str
    ready:
      description: Whether the Node is Ready.
      type: bool
    node:
      description: The Node - ready, reasons, version, labels, taints, address, whether it takes pods and who cordoned
        it.
      type: dict
    node_differs:
      description: Whether labels or taints are not as wanted, or an interrupted run left the node cordoned.
      type: bool
    readyz:
      description: Whether this node's API is ready, and the checks that fail.
      type: dict
    servers:
      description: Each other server - its address, whether it answers and whether it is ready.
      type: dict
    living_servers:
      description: Names of the other servers that answer.
      type: list
      elements: str
    datastore:
      description: Endpoints that are healthy and those that are not, and whose cluster is in it (V(none), V(ours),
        V(other), V(unknown)).
      type: dict
    datastore_certificate_due:
      description: Whether the certificate for the datastore is missing, or has less than 30 % of its life left.
      type: bool
    datastore_authority:
      description: The certificates of the authorities that the datastore trusts, as this node knows them; empty before.
      type: str
    certificates:
      description: Each certificate of k3s with its days left, the one that ends first in front.
      type: list
      elements: dict
    secrets_encrypted:
      description: Whether this server encrypts secrets in the datastore; null where it is none yet.
      type: bool
    node_password:
      description: Whether the node has its password, and whether the cluster has its hash.
      type: dict
    refusals:
      description: Why what is wanted must not be done, as sentences.
      type: list
      elements: str
    gate:
      description: Why no server may be restarted now, as sentences.
      type: list
      elements: str
    problems:
      description: What is wrong with k3s on this node, as sentences.
      type: list
      elements: str
"""

import platform
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.holdfast.edge.plugins.module_utils._k3s.api import Identity
from ansible_collections.holdfast.edge.plugins.module_utils._k3s.conclude import result
from ansible_collections.holdfast.edge.plugins.module_utils._k3s.errors import K3sError
from ansible_collections.holdfast.edge.plugins.module_utils._k3s.images import ARCHITECTURES
from ansible_collections.holdfast.edge.plugins.module_utils._k3s.look import Question, look
from ansible_collections.holdfast.edge.plugins.module_utils._k3s.node_object import Wish

MEMBER = Path("/etc/holdfast/etcd/pki")


def of_this_machine(bundle: dict[str, Any]) -> dict[str, Any]:
    machine = ARCHITECTURES.get(platform.machine(), platform.machine())
    if bundle and machine not in bundle:
        raise K3sError(
            f"the bundle has k3s for {', '.join(bundle)}, and this node is {machine}; make a bundle for it too"
        )
    wanted: dict[str, Any] = bundle.get(machine, {})
    return wanted


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "kind": {"type": "str", "choices": ["server", "agent"], "required": True},
            "name": {"type": "str", "required": True},
            "bundle": {"type": "dict", "default": {}},
            "files": {"type": "list", "elements": "dict", "default": []},
            "labels": {"type": "dict"},
            "taints": {"type": "list", "elements": "str"},
            "servers": {"type": "dict", "default": {}},
            "etcd_endpoints": {"type": "list", "elements": "str", "default": []},
            "etcd_authority": {"type": "path", "default": "/etc/holdfast/k3s/etcd/ca.crt"},
            "etcd_certificate": {"type": "path", "default": "/etc/holdfast/k3s/etcd/client.crt"},
            "etcd_private": {"type": "path", "default": "/etc/holdfast/k3s/etcd/client.key", "no_log": False},
            "etcd_signer": {"type": "str", "default": ""},
            "fingerprint": {"type": "str", "default": ""},
            "secrets_encryption": {"type": "bool"},
        },
        supports_check_mode=True,
    )
    given = module.params
    files = ("etcd_authority", "etcd_certificate", "etcd_private")
    try:
        wanted = of_this_machine(given["bundle"])
        question = Question(
            kind=given["kind"],
            name=given["name"],
            version=wanted.get("version", ""),
            files=given["files"],
            images=wanted.get("images", ()),
            node=Wish(labels=given["labels"], taints=given["taints"]),
            servers=given["servers"],
            etcd_endpoints=given["etcd_endpoints"],
            etcd=Identity(*(Path(given[name]) for name in files)) if given["etcd_endpoints"] else None,
            etcd_before=Identity(*(MEMBER / name for name in ("ca.crt", "client.crt", "client.key"))),
            etcd_signer=given["etcd_signer"],
            token_digest=given["fingerprint"],
            secrets_encryption=given["secrets_encryption"],
        )
        seen = result(look(question))
    except K3sError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, k3s={**seen, "wanted": wanted})


if __name__ == "__main__":
    main()
