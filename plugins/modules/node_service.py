#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The Holdfast authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring a systemd unit of a node to a state and wait for it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: node_service
short_description: Bring a systemd unit of a node to a state and wait for it
version_added: 0.1.0
description:
  - Starts, stops, restarts or reloads a unit without blocking on systemd, and waits with a deadline until it is there.
  - Ends early when the unit failed, or keeps restarting. Every failure shows the unit's last journal lines.
author: The Holdfast authors (@holdfast)
options:
  name:
    description: Name of the unit; without a suffix that of a service.
    type: str
    required: true
  state:
    description:
      - V(started) and V(stopped) act only where that is not so yet; V(restarted) and V(reloaded) always act.
      - Without it the state is left alone.
    type: str
    choices: [started, stopped, restarted, reloaded]
  enabled:
    description: Whether it starts at boot. Without it that is left alone.
    type: bool
  daemon_reload:
    description: Whether systemd reads its units again first. That is no change by itself.
    type: bool
    default: false
  wait_seconds:
    description: The deadline; V(0) does not wait at all.
    type: float
    default: 60
  settle_seconds:
    description: How long a unit must have been active to count as started, so that one which dies at once does not.
    type: float
    default: 1
  journal_lines:
    description: How many lines of its journal a failure shows.
    type: int
    default: 30
attributes:
  check_mode:
    description: Tells what would change, also where the unit is not there yet, and does nothing.
    support: full
  diff_mode:
    description: Shows the state before and after.
    support: full
  idempotent:
    description:
      - V(started), V(stopped) and O(enabled) act only where that differs.
      - V(restarted) and V(reloaded) always act.
    support: partial
"""

EXAMPLES = r"""
- name: Run etcd
  holdfast.edge.node_service:
    name: etcd
    state: started
    enabled: true
    daemon_reload: true
    wait_seconds: 90
"""

RETURN = r"""
acted:
  description: The verb that was given to systemctl, or would be in check mode; empty for none.
  returned: success
  type: str
  sample: start
status:
  description: The unit as systemd sees it in the end.
  returned: success
  type: dict
  contains:
    active_state:
      description: As in C(systemctl show).
      type: str
      sample: active
    sub_state:
      description: As in C(systemctl show).
      type: str
      sample: running
    unit_file_state:
      description: Whether it is enabled.
      type: str
      sample: enabled
    result:
      description: How its last run ended.
      type: str
      sample: success
    restarts:
      description: How often systemd started it again by itself.
      type: int
      sample: 0
    main_pid:
      description: Its main process.
      type: int
      sample: 4711
    invocation_id:
      description: Another one after each start.
      type: str
      sample: 0f9d2a7c55d34a0cbb7f5a2f3c1f7f4e
"""

import platform

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.holdfast.edge.plugins.module_utils._node_service import Service, ServiceError, Wish, told


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "name": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["started", "stopped", "restarted", "reloaded"]},
            "enabled": {"type": "bool"},
            "daemon_reload": {"type": "bool", "default": False},
            "wait_seconds": {"type": "float", "default": 60},
            "settle_seconds": {"type": "float", "default": 1},
            "journal_lines": {"type": "int", "default": 30},
        },
        supports_check_mode=True,
    )
    wish = Wish(**{**module.params, "state": module.params["state"] or ""})
    try:
        result = Service(wish, module.run_command, platform.node()).bring(module.check_mode)
    except ServiceError as error:
        module.fail_json(msg=str(error))
    module.exit_json(**told(result, wish, module.check_mode))


if __name__ == "__main__":
    main()
