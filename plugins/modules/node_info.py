#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The Holdfast authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell what a node is."""

from __future__ import annotations

DOCUMENTATION = r"""
module: node_info
short_description: Tell what a node is
version_added: 0.1.0
description:
  - Reads the few facts that decide whether a machine can be a node of a site, in one fast step.
  - Changes nothing.
author: The Holdfast authors (@holdfast)
options:
  state_path:
    description: Where the site will keep its state; the free space is measured there.
    type: path
    default: /var/lib
  controller_epoch:
    description:
      - The controller's clock at the moment the task is sent, in seconds since 1970.
      - With it RV(node.clock_offset_seconds) is told; the way to the node counts as offset.
    type: float
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
  holdfast.edge.node_info:
    controller_epoch: "{{ now().timestamp() }}"
  register: result

- name: Say how much memory it has
  ansible.builtin.debug:
    msg: "{{ result.node.memory_mb }} MiB"
"""

RETURN = r"""
node:
  description: The facts.
  returned: success
  type: dict
  contains:
    distribution:
      description: Name of the distribution with a capital, as in the names of vars files.
      type: str
      sample: Debian
    major_version:
      description: Major version of the distribution.
      type: str
      sample: "12"
    pretty_name:
      description: How the distribution names itself.
      type: str
      sample: Debian GNU/Linux 12 (bookworm)
    architecture:
      description: Machine architecture.
      type: str
      sample: x86_64
    kernel:
      description: Kernel release.
      type: str
      sample: 6.1.0-40-amd64
    cpus:
      description: Processors that this machine may use.
      type: int
      sample: 4
    memory_mb:
      description: Memory in MiB; where the machine is a container with a limit, that limit.
      type: int
      sample: 7821
    free_mb:
      description: Free space in MiB where RV(node.state_path) is or will be.
      type: int
      sample: 51200
    state_path:
      description: Where the free space was measured.
      type: str
      sample: /var/lib
    machine_id:
      description: The identity that systemd gave to the machine; equal on machines that were cloned carelessly.
      type: str
      sample: 4bd2f5a2c0a84b0e9d1a1a2f3c4d5e6f
    clock_offset_seconds:
      description: How far the node's clock is ahead of O(controller_epoch); null where that was not given.
      type: float
      sample: 0.4
    init:
      description: Name of process 1.
      type: str
      sample: systemd
    efi:
      description: Whether the machine started by EFI.
      type: bool
      sample: true
    restoring:
      description: Whether a restore was begun on it that did not end.
      type: bool
      sample: false
    listening:
      description: TCP ports that are taken, each with the systemd unit, or else the program, that listens there.
      type: dict
      sample: {"22": ssh.service}
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.holdfast.edge.plugins.module_utils._node import look


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "state_path": {"type": "path", "default": "/var/lib"},
            "controller_epoch": {"type": "float"},
        },
        supports_check_mode=True,
    )
    module.exit_json(changed=False, node=look(module.params["state_path"], module.params["controller_epoch"]).as_dict())


if __name__ == "__main__":
    main()
