#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The Holdfast authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell what of a node's hardening is not as wanted."""

from __future__ import annotations

DOCUMENTATION = r"""
module: hardening_info
short_description: Tell what of a node's hardening is not as wanted
version_added: 0.1.0
description:
  - Looks at all of it in one step, so that a run that has nothing to do asks once.
  - Changes nothing.
author: The Holdfast authors (@holdfast)
options:
  packages:
    description: Packages that should be installed.
    type: list
    elements: str
    default: []
  package_query:
    description:
      - The command, as a list, that prints a line for each package, its name first.
      - A second word that is not C(installed) says that it is not.
    type: list
    elements: str
    default: [dpkg-query, --show, --showformat, "${Package} ${db:Status-Status}\\n"]
  sshd:
    description: Settings of the ssh server and the values that should hold in the end, whichever file they come from.
    type: dict
    default: {}
  firewall_table:
    description: The nftables table that should be loaded, such as V(inet holdfast); empty asks for none.
    type: str
    default: ""
  accounts:
    description: Users that should be there.
    type: list
    elements: str
    default: []
  files:
    description: What the filter P(holdfast.edge.file_digests#filter) gave of the files that should be there.
    type: list
    elements: dict
    default: []
  running:
    description: What the running system should have, as M(holdfast.edge.node_settings) brings it.
    type: dict
    default: {}
    suboptions:
      modules:
        description: Kernel modules.
        type: list
        elements: str
        default: []
      sysctl:
        description: Kernel parameters and their values.
        type: dict
        default: {}
      values:
        description: Single values in files whose other lines belong to somebody else.
        type: list
        elements: dict
        default: []
        suboptions:
          path:
            description: The file.
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
        description: systemd units that should be stopped and masked where they are there.
        type: list
        elements: str
        default: []
      units_on:
        description: systemd units that should be enabled and started.
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
- name: Look at the node
  holdfast.edge.hardening_info:
    packages: [nftables]
    sshd:
      PasswordAuthentication: "no"
    firewall_table: inet holdfast
  register: result

- name: Say what is missing
  ansible.builtin.debug:
    msg: "{{ result.hardening.packages_missing | join(', ') }}"
"""

RETURN = r"""
hardening:
  description: What was seen.
  returned: success
  type: dict
  contains:
    container:
      description: What kind of container this is; empty on a machine with a kernel of its own.
      type: str
      sample: docker
    packages_missing:
      description: Packages of O(packages) that are not installed.
      type: list
      elements: str
    sshd:
      description: Each setting of O(sshd) that does not hold, with the value that does.
      type: dict
      sample: {PasswordAuthentication: "yes"}
    sshd_error:
      description: What the ssh server said when its settings could not be read.
      type: str
    firewall_loaded:
      description: Whether the kernel has the table as it was when our unit loaded it.
      type: bool
    accounts_missing:
      description: Users of O(accounts) that are not there.
      type: list
      elements: str
    security_modules:
      description: The guards that the kernel was booted with.
      type: list
      elements: str
      sample: [lockdown, capability, apparmor]
    enforcing:
      description: Whether SELinux refuses what its policy forbids.
      type: bool
    files_differ:
      description: The paths of O(files) that are not as wanted.
      type: list
      elements: str
    running_differs:
      description: What of O(running) is not so, a line for each.
      type: list
      elements: str
"""

from dataclasses import asdict

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.holdfast.edge.plugins.module_utils._hardening.apply import OPTIONS, Wanted, bring
from ansible_collections.holdfast.edge.plugins.module_utils._hardening.look import look
from ansible_collections.holdfast.edge.plugins.module_utils._node_files import digests


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "packages": {"type": "list", "elements": "str", "default": []},
            "package_query": {
                "type": "list",
                "elements": "str",
                "default": ["dpkg-query", "--show", "--showformat", r"${Package} ${db:Status-Status}\n"],
            },
            "sshd": {"type": "dict", "default": {}},
            "firewall_table": {"type": "str", "default": ""},
            "accounts": {"type": "list", "elements": "str", "default": []},
            "files": {"type": "list", "elements": "dict", "default": []},
            "running": {"type": "dict", "default": {}, "options": OPTIONS},
        },
        supports_check_mode=True,
    )
    wanted = module.params

    def run(command: object) -> tuple[int, str, str]:
        code, out, error = module.run_command(command, path_prefix="/usr/sbin:/sbin", handle_exceptions=True)
        return code, out, error

    seen = look(
        packages=wanted["packages"],
        query=wanted["package_query"],
        sshd=wanted["sshd"],
        table=wanted["firewall_table"],
        accounts=wanted["accounts"],
        run=run,
    )
    running = bring(Wanted(**wanted["running"]), run, write=False).after if wanted["running"] else []
    told = {**asdict(seen), "files_differ": digests.differing(wanted["files"]), "running_differs": running}
    module.exit_json(changed=False, hardening=told)


if __name__ == "__main__":
    main()
