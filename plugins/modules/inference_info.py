#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The Holdfast authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Tell what a node has of the inference service."""

from __future__ import annotations

DOCUMENTATION = r"""
module: inference_info
short_description: Tell what a node has of the inference service
version_added: 0.1.0
description:
  - Asks the engines and gateways that run on the node on their operator's sockets, and addresses as a client would, for
    nothing but C(/health/ready).
  - Needs no key and no API server. Ends after O(seconds), whatever does not answer.
  - Changes nothing.
author: The Holdfast authors (@holdfast)
options:
  urls:
    description: Addresses to ask, such as the node's own gateway and the site's address. Empty ones are passed over.
    type: list
    elements: str
    default: []
  authority:
    description: The authority that clients trust, as PEM; empty where they trust one of their own.
    type: str
    default: ""
  seconds:
    description: How long all of it may take.
    type: float
    default: 5
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
- name: Look at the inference service
  holdfast.edge.inference_info:
    urls: [https://192.0.2.11:8443, https://192.0.2.10]
    authority: "{{ lookup('ansible.builtin.file', 'inference-ca.crt') }}"
  register: result

- name: Say which models the node's engines have
  ansible.builtin.debug:
    msg: "{{ result.inference.engines | map(attribute='models') }}"
"""

RETURN = r"""
inference:
  description: What was seen.
  returned: success
  type: dict
  contains:
    engines:
      description: What each engine of the node tells of itself, as C(/metrics/summary) does.
      type: list
      elements: dict
      sample: [{"ready": true, "models": {"shop": {"digest": "6f1e", "queued_tokens": 0}}}]
    gateways:
      description: The same of each gateway.
      type: list
      elements: dict
      sample: [{"ready": true}]
    doors:
      description: For each of O(urls), whether it C(answers) or what it C(said), why those who trust O(authority) would
        have C(refused) it, and the C(days_left) of its certificate.
      type: list
      elements: dict
      sample: [{"url": "https://192.0.2.10", "answers": true, "said": "", "refused": "", "days_left": 364}]
"""

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.holdfast.edge.plugins.module_utils._inference import look


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "urls": {"type": "list", "elements": "str", "default": []},
            "authority": {"type": "str", "default": ""},
            "seconds": {"type": "float", "default": 5},
        },
        supports_check_mode=True,
    )
    given = module.params
    module.exit_json(changed=False, inference=look(given["urls"], given["authority"], given["seconds"]))


if __name__ == "__main__":
    main()
