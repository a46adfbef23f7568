#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The Holdfast authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take Holdfast off a node."""

from __future__ import annotations

DOCUMENTATION = r"""
module: node_reset
short_description: Take Holdfast off a node
version_added: 0.1.0
description:
  - Leaves a node as it was found before the first run of C(site.yml), apart from packages, which stay.
  - What may go is a list in this collection, and no option makes it longer. Files of the system that were replaced are
    put back as they were noted before the first change.
  - Works on a node that was installed by half, and on one where k3s or etcd is broken. Another run goes on where
    one was cut short.
  - A file system that somebody else mounted below a folder of Holdfast's is refused before anything is done.
author: The Holdfast authors (@holdfast)
options:
  confirm:
    description: The name of the site, typed by a person; nothing is done unless it equals O(site_name).
    type: str
    required: true
  site_name:
    description: The name of the site that the node is in.
    type: str
    required: true
  addresses:
    description: Addresses that only the site gave to the node, such as its VIP; they are taken off its links.
    type: list
    elements: str
    default: []
  keep_backups:
    description: Whether the backups that lie on the node stay there.
    type: bool
    default: false
attributes:
  check_mode:
    description: Lists what would go and what would be put back, and does none of it.
    support: full
  diff_mode:
    description: Shows the same list as a difference.
    support: full
  idempotent:
    description: A node that has nothing of Holdfast is left alone.
    support: full
"""

EXAMPLES = r"""
- name: Take the site off its nodes
  holdfast.edge.node_reset:
    site_name: shop7
    confirm: "{{ reset_confirm }}"
    addresses: [192.0.2.10]
"""

RETURN = r"""
gone:
  description: What was taken away or put back, or would be in check mode.
  returned: success
  type: list
  elements: str
  sample: [running unit k3s.service, /etc/rancher]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.holdfast.edge.plugins.module_utils._reset.errors import ResetError
from ansible_collections.holdfast.edge.plugins.module_utils._reset.reset import Reset
from ansible_collections.holdfast.edge.plugins.module_utils._reset.system import System

BACKUPS = "/var/lib/holdfast/backups"


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "confirm": {"type": "str", "required": True},
            "site_name": {"type": "str", "required": True},
            "addresses": {"type": "list", "elements": "str", "default": []},
            "keep_backups": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    if not module.params["site_name"] or module.params["confirm"] != module.params["site_name"]:
        module.fail_json(
            msg=f"A reset of the site {module.params['site_name']!r} takes its cluster and all its data away for good. "
            f"Nothing was changed. To go on, type its name: -e reset_confirm={module.params['site_name']}"
        )
    try:
        reset = Reset(
            System(),
            addresses=module.params["addresses"],
            keep=(BACKUPS,) if module.params["keep_backups"] else (),
        )
        gone = reset.look().gone if module.check_mode else reset.run().gone
    except ResetError as error:
        module.fail_json(msg=str(error))
    except OSError as error:
        module.fail_json(
            msg=f"The system refused: {error}. What is gone stays gone. Put that right, then run this again."
        )
    text = "".join(f"{phrase}\n" for phrase in gone)
    diff = {"diff": {"before": text, "after": ""}} if module._diff else {}
    module.exit_json(changed=bool(gone), gone=list(gone), **diff)


if __name__ == "__main__":
    main()
