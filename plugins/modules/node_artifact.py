#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The Holdfast authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Install a file of the bundle on a node."""

from __future__ import annotations

DOCUMENTATION = r"""
module: node_artifact
short_description: Install a file of the bundle on a node
version_added: 0.1.0
description:
  - Brings the files of one artifact of the bundle to C(/usr/local/lib/holdfast/<name>/<version>/) and lets the link
    C(current) lead there; the version before is C(previous).
  - Copies only what differs. A file is hashed before it goes, and again on the node before it is used.
  - A version that is on the node is activated without a bundle, which is how a rollback works.
  - An archive, an image or a chart goes to the path O(dest) in place of a version of its own.
author: The Holdfast authors (@holdfast)
options:
  name:
    description: Name of the artifact in C(bundle.json).
    type: str
    required: true
  bundle_path:
    description:
      - Folder of the bundle on the controller.
      - Without one, only a version that is on the node can be activated.
    type: path
    default: ""
  version:
    description: The version; empty for the newest of the bundle for the node's architecture.
    type: str
    default: ""
  files:
    description: Names of the files that are wanted; empty for all of the artifact.
    type: list
    elements: str
    default: []
  activate:
    description: Whether the version becomes the current one. Without that it only waits on the node.
    type: bool
    default: true
  links:
    description:
      - Links from elsewhere, as C(/usr/local/bin/etcd), each to the name of a file of the current version.
      - Where something that is no link has that path, it is refused.
    type: dict
    default: {}
  dest:
    description: The path for a single file with mode 0644, in place of a version. Its folder must be there.
    type: path
    default: ""
  keep:
    description: How many of the newest versions stay on the node; the current and the previous one always do.
    type: int
    default: 3
  order:
    description: What the node shall do; filled in by the action plugin of this name.
    type: dict
attributes:
  check_mode:
    description: Tells what would be copied and activated, and writes nothing.
    support: full
  diff_mode:
    description: Shows the files with their sha256, and the version before and after.
    support: full
  idempotent:
    description: Copies and activates only what differs.
    support: full
"""

EXAMPLES = r"""
- name: Install etcd
  holdfast.edge.node_artifact:
    bundle_path: /srv/holdfast/bundle
    name: etcd
    version: 3.6.14
    links:
      /usr/local/bin/etcdctl: etcdctl
  register: result

- name: Bring an archive of images
  holdfast.edge.node_artifact:
    bundle_path: /srv/holdfast/bundle
    name: k3s-airgap-images
    dest: /var/lib/rancher/k3s/agent/images/k3s-airgap-images.tar

- name: Go back to the version before
  holdfast.edge.node_artifact:
    name: etcd
    version: "{{ result.previous }}"
"""

RETURN = r"""
version:
  description: The version that was chosen.
  returned: success
  type: str
  sample: 3.6.14
path:
  description: The folder of the version, or O(dest).
  returned: success
  type: str
  sample: /usr/local/lib/holdfast/etcd/3.6.14
current_before:
  description: The version that was current before; empty for none.
  returned: success
  type: str
  sample: 3.5.33
previous:
  description: The version that C(previous) leads to afterwards; empty for none.
  returned: success
  type: str
  sample: 3.5.33
activated:
  description: Whether another version became current.
  returned: success
  type: bool
  sample: true
copied:
  description: Names of the files that were copied.
  returned: success
  type: list
  elements: str
  sample: [etcd, etcdctl, etcdutl]
removed:
  description: Old versions that were removed.
  returned: success
  type: list
  elements: str
  sample: []
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.holdfast.edge.plugins.module_utils._node_artifact.carry_out import carry_out
from ansible_collections.holdfast.edge.plugins.module_utils._node_artifact.errors import ArtifactError


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "bundle_path": {"type": "path", "default": ""},
            "version": {"type": "str", "default": ""},
            "files": {"type": "list", "elements": "str", "default": []},
            "activate": {"type": "bool", "default": True},
            "links": {"type": "dict", "default": {}},
            "dest": {"type": "path", "default": ""},
            "keep": {"type": "int", "default": 3},
            "order": {"type": "dict"},
        },
        supports_check_mode=True,
    )
    order = module.params["order"]
    if not order:
        module.fail_json(msg="node_artifact works through the action plugin of its name, which did not run.")
    if module.check_mode and order["step"] != "look":
        module.fail_json(msg="In check mode the node is only looked at.")
    try:
        module.exit_json(changed=False, **carry_out(order, module.params))
    except (ArtifactError, OSError) as error:
        module.fail_json(msg=str(error))


if __name__ == "__main__":
    main()
