# SPDX-FileCopyrightText: 2026 The Holdfast authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is in a bundle, on the word of those whom the play trusts."""

from __future__ import annotations

DOCUMENTATION = r"""
name: bundle_entries
short_description: What is in a bundle
version_added: 0.1.0
author: The Holdfast authors (@holdfast)
description:
  - Reads the manifest of a bundle on the controller.
  - Where the variable C(bundle_public_keys) names public keys, a manifest that none of them signed is an error.
options:
  _terms:
    description: The folder of the bundle; one without a bundle is an error.
    required: true
  use:
    description: Names of artifacts that the controller itself is about to use. Their files are compared with the
      manifest too; where files go to nodes, M(holdfast.edge.node_artifact) does that.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Name the versions of k3s
  ansible.builtin.debug:
    msg: "{{ entries | selectattr('name', 'eq', 'k3s') | map(attribute='version') }}"
  vars:
    entries: "{{ query('holdfast.edge.bundle_entries', bundle_path) }}"
"""

RETURN = r"""
_raw:
  description: One entry for each file, as C(bundle.json) has it.
  type: list
  elements: dict
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.errors import BundleError
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.inspection import checked_file
from ansible_collections.holdfast.edge.plugins.plugin_utils._bundle_trust import keys_of_play, trusted_entries


class LookupModule(LookupBase):  # type: ignore[misc]  # ansible-core ships no types
    """Asked by roles wherever they choose something of a bundle."""

    def run(
        self, terms: Sequence[str], variables: Mapping[str, Any] | None = None, use: Sequence[str] = ()
    ) -> list[dict[str, Any]]:
        found = []
        try:
            keys = keys_of_play(variables or {}, self._templar)
            for bundle in (Path(term).expanduser() for term in terms):
                entries = trusted_entries(bundle, keys)
                for entry in entries:
                    if entry.name in use:
                        checked_file(bundle, entry)
                found += [asdict(entry) for entry in entries]
        except BundleError as error:
            # Ansible would append the cause, which says the same.
            raise AnsibleLookupError(str(error)) from None
        return found
