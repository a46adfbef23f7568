#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The Holdfast authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Have files put back by the node itself unless a change is confirmed in time."""

from __future__ import annotations

DOCUMENTATION = r"""
module: dead_man_switch
short_description: Have files put back by the node itself unless a change is confirmed in time
version_added: 0.1.0
description:
  - For changes that may lock out whoever makes them, as of ssh or of a firewall.
  - Armed before the change, released once a fresh login has proved that the way in is still open.
  - Where nobody releases it, the node puts the files back and runs the commands, also when it lost power in between.
author: The Holdfast authors (@holdfast)
options:
  name:
    description: Name of the switch.
    type: str
    required: true
  state:
    description:
      - V(armed) keeps copies of the files and starts the clock. One that is armed keeps the copies it has.
      - V(released) stops the clock and forgets the copies. It is an error when the time was up before.
      - V(fired) puts the files back at once.
    type: str
    choices: [armed, released, fired]
    required: true
  files:
    description: The files to keep; those that are not there are taken away again.
    type: list
    elements: path
    default: []
  commands:
    description: Lines of a shell script that make the old files hold again.
    type: list
    elements: str
    default: []
  seconds:
    description: How long to wait for the release.
    type: int
    default: 60
attributes:
  check_mode:
    description: Does nothing and tells whether it would.
    support: full
  diff_mode:
    description: Has nothing of lasting to show.
    support: none
  idempotent:
    description: Armed twice is armed once, with its clock started anew. Releasing what is not armed is an error.
    support: partial
"""

EXAMPLES = r"""
- name: Have the old configuration put back by the node
  holdfast.edge.dead_man_switch:
    name: ssh
    state: armed
    files: [/etc/ssh/sshd_config]
    commands: [systemctl reload ssh]

- name: The new one is well
  holdfast.edge.dead_man_switch:
    name: ssh
    state: released
"""

RETURN = r""" # """

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.holdfast.edge.plugins.module_utils._dead_man_switch import Switch, SwitchError


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["armed", "released", "fired"], "required": True},
            "files": {"type": "list", "elements": "path", "default": []},
            "commands": {"type": "list", "elements": "str", "default": []},
            "seconds": {"type": "int", "default": 60},
        },
        supports_check_mode=True,
    )
    wanted = module.params
    switch = Switch(wanted["name"], lambda command: module.run_command(command, handle_exceptions=False))
    changed = wanted["state"] == "armed" or switch.armed
    if module.check_mode:
        module.exit_json(changed=changed)
    try:
        if wanted["state"] == "armed":
            switch.arm(wanted["files"], wanted["commands"], wanted["seconds"])
        elif wanted["state"] == "released":
            switch.release()
        else:
            switch.fire()
    except SwitchError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=changed)


if __name__ == "__main__":
    main()
