#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The Holdfast authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writes missing checksums into the catalogue for review."""

from __future__ import annotations

DOCUMENTATION = r"""
module: bundle_lock
short_description: Write the upstreams' checksums into the catalogue, for review
version_added: 0.1.0
author:
  - The Holdfast authors (@holdfast)
description:
  - For each artifact whose C(release) has a pin of V(null), fetches the list of checksums that the upstream
    publishes and writes
    the digest into C(artifacts.yml). Comments and layout of the file stay.
  - A pin that is there is never replaced. Where the upstream now says something else, nothing is written and the
    artifact is named.
  - It trusts the upstream once. Review the difference and commit it; from then on the pin decides.
extends_documentation_fragment:
  - holdfast.edge.bundle
  - holdfast.edge.bundle.sources
attributes:
  check_mode:
    support: full
    details: The lists are fetched in check mode too, and compared.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  path:
    description:
      - The catalogue's file, C(artifacts.yml).
    type: path
    required: true
  recheck:
    description:
      - Compare the pins that are there with the upstreams' lists too.
    type: bool
    default: false
seealso:
  - module: holdfast.edge.bundle
"""

EXAMPLES = r"""
- name: Write down what is missing
  holdfast.edge.bundle_lock:
    path: bundle/artifacts.yml
    artifacts: "{{ (lookup('ansible.builtin.file', 'bundle/artifacts.yml') | from_yaml).bundle_artifacts }}"
  diff: true
"""

RETURN = r"""
pins:
  description: What was written.
  type: list
  elements: dict
  returned: success
  contains:
    name:
      description: The artifact's name.
      type: str
    version:
      description: Its version.
      type: str
    arch:
      description: The processor.
      type: str
    sha256:
      description: The digest.
      type: str
    source:
      description: The list that it was read from.
      type: str
without_list:
  description: Artifacts that lack a pin and whose C(checksums_url) is not set.
  type: list
  elements: str
  returned: success
summary:
  description: What was done, in one line.
  type: str
  returned: success
"""

from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.holdfast.edge.plugins.module_utils._bundle import module_glue as glue
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.catalogue import read_catalogue
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.pins import lock


def main() -> None:
    """Lock the pins."""
    module = AnsibleModule(
        argument_spec={
            "path": {"type": "path", "required": True},
            "recheck": {"type": "bool", "default": False},
            **glue.SOURCE_OPTIONS,
        },
        supports_check_mode=True,
    )
    path = Path(module.params["path"]).absolute()
    with glue.plain_failures(module):
        locked = lock(
            path=path,
            artifacts=read_catalogue(module.params["artifacts"]),
            mirror=glue.mirror_of(module.params),
            patience=glue.patience_of(module.params),
            recheck=module.params["recheck"],
            dry=module.check_mode,
        )
    module.exit_json(
        changed=locked.changed,
        pins=[
            {
                "name": pin.artifact.name,
                "version": pin.artifact.version,
                "arch": pin.architecture,
                "sha256": pin.sha256,
                "source": pin.checksums_url,
            }
            for pin in locked.pins
        ],
        without_list=list(locked.without_list),
        summary=locked.summary,
        diff={"before_header": str(path), "after_header": str(path), "before": locked.before, "after": locked.after},
    )


if __name__ == "__main__":
    main()
