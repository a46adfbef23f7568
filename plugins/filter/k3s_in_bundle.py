# SPDX-FileCopyrightText: 2026 The Holdfast authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a bundle has for nodes of a version of k3s."""

from __future__ import annotations

DOCUMENTATION = r"""
name: k3s_in_bundle
short_description: What a bundle has for nodes of a version of k3s
version_added: 0.1.0
author: The Holdfast authors (@holdfast)
description:
  - Says for each architecture which version and which images of a bundle a node gets.
options:
  _input:
    description: The entries of the bundle, as P(holdfast.edge.bundle_entries#lookup) reads them.
    type: list
    elements: dict
    required: true
  version:
    description: The version of k3s; empty for the newest there is.
    type: str
    required: true
  images:
    description: Names of images besides those of k3s itself.
    type: list
    elements: str
    default: []
positional: version, images
"""

EXAMPLES = r"""
- name: Say what a node would get
  ansible.builtin.debug:
    msg: "{{ query('holdfast.edge.bundle_entries', bundle_path) | holdfast.edge.k3s_in_bundle('') }}"
"""

RETURN = r"""
_value:
  description: The version and the images by architecture.
  type: dict
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.holdfast.edge.plugins.module_utils._k3s.errors import K3sError
from ansible_collections.holdfast.edge.plugins.module_utils._k3s.images import wanted


def k3s_in_bundle(
    entries: Iterable[Mapping[str, Any]], version: str = "", images: Iterable[str] = ()
) -> dict[str, Any]:
    try:
        return wanted(entries, version, images)
    except K3sError as error:
        raise AnsibleFilterError(str(error)) from error


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"k3s_in_bundle": k3s_in_bundle}
