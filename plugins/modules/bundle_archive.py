#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The Holdfast authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Carries a bundle as one tar, on a USB stick for instance."""

from __future__ import annotations

DOCUMENTATION = r"""
module: bundle_archive
short_description: Pack a bundle into one tar, or unpack it with verification
version_added: 0.1.0
author:
  - The Holdfast authors (@holdfast)
description:
  - Packing verifies the bundle first, and gives the same bytes for the same bundle.
  - Unpacking checks every member against the manifest in the tar before any of it takes its place. A member that is
    unknown, missing,
    changed, a link, or leads outside is refused by name, and what was there before stays.
extends_documentation_fragment:
  - holdfast.edge.bundle
  - holdfast.edge.bundle.progress
attributes:
  check_mode:
    support: full
    details: The bundle or the tar is verified in check mode too.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  path:
    description:
      - The bundle's folder.
    type: path
    required: true
  archive:
    description:
      - The tar file.
    type: path
    required: true
  state:
    description:
      - Which way to go.
    type: str
    choices:
      packed: Write O(archive) from O(path).
      unpacked: Bring O(path) to what is in O(archive).
    required: true
  manifest_sha256:
    description:
      - For O(state=unpacked), the RV(manifest_sha256) that was shown when it was packed. Anything else is refused.
      - A tar proves by itself only that it is whole. This figure, carried by another road, proves that it is the
        one that was packed.
    type: str
    default: ""
seealso:
  - module: holdfast.edge.bundle
"""

EXAMPLES = r"""
- name: Pack the bundle for a USB stick
  holdfast.edge.bundle_archive:
    path: /srv/holdfast/bundle
    archive: /media/stick/bundle.tar
    state: packed

- name: Unpack it at the other end
  holdfast.edge.bundle_archive:
    path: /srv/holdfast/bundle
    archive: /media/stick/bundle.tar
    state: unpacked
    manifest_sha256: 2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae
"""

RETURN = r"""
files:
  description: Paths of the files in the bundle.
  type: list
  elements: str
  returned: success
manifest_sha256:
  description: The SHA-256 of the C(bundle.json) inside.
  type: str
  returned: success
size:
  description: Bytes of all files.
  type: int
  returned: success
summary:
  description: What was done, in one line.
  type: str
  returned: success
"""

import threading
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.holdfast.edge.plugins.module_utils._bundle import module_glue as glue
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.archive import pack, unpack
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.progress import spoken_size


def main() -> None:
    """Pack or unpack."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "archive": {"type": "path", "required": True},
            "state": {"type": "str", "choices": ["packed", "unpacked"], "required": True},
            "manifest_sha256": {"type": "str", "default": ""},
            **glue.PROGRESS_OPTIONS,
        },
        supports_check_mode=True,
    )
    bundle = Path(module.params["path"]).absolute()
    archive = Path(module.params["archive"]).absolute()
    progress = glue.progress_of(module.params)
    packing = module.params["state"] == "packed"
    cancel = threading.Event()
    with glue.plain_failures(module, cancel):
        if packing:
            done = pack(bundle, archive, progress, module.check_mode, cancel)
        else:
            done = unpack(archive, bundle, module.params["manifest_sha256"], progress, module.check_mode, cancel)
    module.exit_json(
        changed=done.changed,
        files=[entry.path for entry in done.entries],
        manifest_sha256=done.manifest_sha256,
        size=done.size,
        summary=f"{archive if packing else bundle} holds {len(done.entries)} files, {spoken_size(done.size)}; "
        f"sha256 of its bundle.json: {done.manifest_sha256}",
        diff={"before": done.before, "after": done.after},
    )


if __name__ == "__main__":
    main()
