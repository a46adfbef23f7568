#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The Holdfast authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compares every file of a bundle with its manifest."""

from __future__ import annotations

DOCUMENTATION = r"""
module: bundle_info
short_description: Compare every file of a bundle with its manifest
version_added: 0.1.0
author:
  - The Holdfast authors (@holdfast)
description:
  - Reads every file of a bundle, compares its size and SHA-256 with C(bundle.json), and names each that differs, is
    missing or
    is not listed.
  - It changes nothing and does not fail for what it finds.
extends_documentation_fragment:
  - holdfast.edge.bundle
attributes:
  check_mode:
    support: full
    details: It changes nothing.
  diff_mode:
    support: N/A
    details: It changes nothing.
  idempotent:
    support: full
options:
  path:
    description:
      - The bundle's folder.
    type: path
    required: true
seealso:
  - module: holdfast.edge.bundle
"""

EXAMPLES = r"""
- name: Look at the bundle
  holdfast.edge.bundle_info:
    path: /srv/holdfast/bundle
  register: bundle

- name: Refuse a bundle that is not whole
  ansible.builtin.assert:
    that: bundle.whole
    fail_msg: "{{ bundle.summary }}"
"""

RETURN = r"""
whole:
  description: Whether there is a bundle and every file of it is what its manifest says, and nothing else is there.
  type: bool
  returned: always
problems:
  description: One sentence for each file that is not.
  type: list
  elements: str
  returned: always
files:
  description: The entries of C(bundle.json).
  type: list
  elements: dict
  returned: always
manifest_sha256:
  description: The SHA-256 of C(bundle.json), or nothing where there is none.
  type: str
  returned: always
size:
  description: Bytes of all files.
  type: int
  returned: always
summary:
  description: The state of the bundle in one line.
  type: str
  returned: always
"""

import hashlib
from dataclasses import asdict
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.holdfast.edge.plugins.module_utils._bundle import module_glue as glue
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.archive import verify_bundle
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.manifest import manifest_bytes, total_size
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.progress import spoken_size


def main() -> None:
    """Verify the bundle and say what was found."""
    module = AnsibleModule(
        argument_spec={"path": {"type": "path", "required": True}},
        supports_check_mode=True,
    )
    path = Path(module.params["path"]).absolute()
    with glue.plain_failures(module):
        entries, problems = verify_bundle(path)
    if problems:
        summary = f"{path} is not whole: {'; '.join(problems)}. Run bundle.yml to mend it, or unpack it again."
    else:
        summary = f"{path}: {len(entries)} files, {spoken_size(total_size(entries))}, all as bundle.json says"
    module.exit_json(
        changed=False,
        whole=not problems,
        problems=problems,
        files=[asdict(entry) for entry in entries],
        manifest_sha256=hashlib.sha256(manifest_bytes(path) or b"").hexdigest() if entries else "",
        size=total_size(entries),
        summary=summary,
    )


if __name__ == "__main__":
    main()
