#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The Holdfast authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measure how fast a disk makes small writes safe."""

from __future__ import annotations

DOCUMENTATION = r"""
module: etcd_disk_info
short_description: Measure how fast a disk makes small writes safe
version_added: 0.1.0
description:
  - Writes 8 KiB and waits for the disk, again and again, as etcd does for every change, and tells how long that takes.
  - The file is unlinked before it is written to, so nothing is left, not after a power cut either.
author: The Holdfast authors (@holdfast)
options:
  path:
    description: A folder on the disk that is meant. Where it is not there yet, the next one above it is taken.
    type: path
    required: true
  seconds:
    description: For how long.
    type: float
    default: 2
attributes:
  check_mode:
    description: Measures as without it, since it leaves nothing behind.
    support: full
  diff_mode:
    description: Has nothing to show, since it changes nothing.
    support: N/A
  idempotent:
    description: Changes nothing; what it tells differs from time to time.
    support: full
"""

EXAMPLES = r"""
- name: Measure the disk
  holdfast.edge.etcd_disk_info:
    path: /var/lib/etcd
  register: disk
"""

RETURN = r"""
p50:
  description: Half of the writes were safe within so many milliseconds.
  returned: success
  type: float
  sample: 0.8
p99:
  description: Of 100 writes, 99 were safe within so many milliseconds.
  returned: success
  type: float
  sample: 2.4
worst:
  description: The slowest write, in milliseconds.
  returned: success
  type: float
  sample: 7.9
writes:
  description: How many there were.
  returned: success
  type: int
  sample: 1800
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.holdfast.edge.plugins.module_utils._etcd.disk import measure


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "seconds": {"type": "float", "default": 2},
        },
        supports_check_mode=True,
    )
    folder = Path(module.params["path"])
    while not folder.is_dir():
        folder = folder.parent
    try:
        speed = measure(folder, module.params["seconds"])
    except OSError as error:
        module.fail_json(msg=f"The disk of {folder} could not be measured: {error}. Nothing was changed.")
    module.exit_json(changed=False, **speed.as_dict())


if __name__ == "__main__":
    main()
