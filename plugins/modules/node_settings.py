#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The Holdfast authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring kernel parameters, modules, single values and units to what is wanted."""

from __future__ import annotations

DOCUMENTATION = r"""
module: node_settings
short_description: Bring kernel parameters, modules, single values and units to what is wanted
version_added: 0.1.0
description:
  - Brings a node's running state to what its files say, in one step, and changes only what differs.
  - What the node refuses is an error that names every value it refused; nothing is passed over in silence.
author: The Holdfast authors (@holdfast)
options:
  modules:
    description: Kernel modules that are loaded before any parameter is set.
    type: list
    elements: str
    default: []
  sysctl:
    description:
      - Kernel parameters and their values in the running kernel.
      - What holds after a boot is the business of a file below C(/etc/sysctl.d).
    type: dict
    default: {}
  values:
    description: Single values in files whose other lines belong to somebody else.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: The file, which must be there.
        type: path
        required: true
      values:
        description: Each key with its value.
        type: dict
        required: true
      separator:
        description: What stands between key and value.
        type: str
        default: " "
  units_off:
    description: systemd units that are stopped and masked where they are there.
    type: list
    elements: str
    default: []
  units_on:
    description: systemd units that are enabled and started.
    type: list
    elements: str
    default: []
  reread:
    description: Commands that run where a file that they read is newer than the boot and than their last run here.
    type: list
    elements: dict
    default: []
    suboptions:
      command:
        description: The command.
        type: list
        elements: str
        required: true
      files:
        description: The files that it reads.
        type: list
        elements: path
        required: true
  changed_files:
    description:
      - Files that were changed before in the same run.
      - Check mode needs it, since no file is newer then.
    type: list
    elements: str
    default: []
  afterwards:
    description: Commands, each a list, that are run at the end in any case.
    type: list
    elements: list
    default: []
attributes:
  check_mode:
    description: Tells what would change and changes nothing. Files and units that are not there yet count as changes.
    support: full
  diff_mode:
    description: Shows each value and unit that differs.
    support: full
  idempotent:
    description: Changes only what differs. O(afterwards) is always run.
    support: partial
"""

EXAMPLES = r"""
- name: Forward packets and keep the printer's service off
  holdfast.edge.node_settings:
    modules: [br_netfilter]
    sysctl:
      net.ipv4.ip_forward: 1
    values:
      - path: /etc/login.defs
        values:
          UMASK: "027"
    units_off: [cups.service]
"""

RETURN = r"""
changes:
  description: What was changed, or would be in check mode, a line for each.
  returned: success
  type: list
  elements: str
  sample: [net.ipv4.ip_forward = 1]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.holdfast.edge.plugins.module_utils._hardening.apply import OPTIONS, Wanted, bring
from ansible_collections.holdfast.edge.plugins.module_utils._hardening.errors import HardeningError


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            **OPTIONS,
            "changed_files": {"type": "list", "elements": "str", "default": []},
            "afterwards": {"type": "list", "elements": "list", "default": []},
        },
        supports_check_mode=True,
    )

    def run(command: object) -> tuple[int, str, str]:
        code, out, error = module.run_command(command, path_prefix="/usr/sbin:/sbin", handle_exceptions=True)
        return code, out, error

    try:
        outcome = bring(Wanted(**module.params), run, write=not module.check_mode)
    except HardeningError as error:
        module.fail_json(msg=str(error))
    diff = {"diff": {"before": _text(outcome.before), "after": _text(outcome.after)}} if module._diff else {}
    module.exit_json(changed=outcome.changed, changes=outcome.after, **diff)


def _text(lines: list[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


if __name__ == "__main__":
    main()
