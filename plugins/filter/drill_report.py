# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes the report of a drill from what its clients wrote down."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible_collections.holdfast.edge.plugins.module_utils._drill.report import report, screen

DOCUMENTATION = r"""
name: drill_report
short_description: Makes the report of a drill from what its clients wrote down
version_added: 0.1.0
description:
  - Tells by fault what clients of the inference service noticed, and whether the site kept its promises.
author: The Holdfast authors (@holdfast)
positional: faults, short_ms
options:
  _input:
    description: The lines that M(holdfast.edge.inference_load) wrote.
    type: str
    required: true
  faults:
    description: What was done to the site, each with C(node), C(kind), and C(begun) and C(ended) in seconds since 1970.
    type: list
    elements: dict
    required: true
  short_ms:
    description: In how many milliseconds 99 of 100 short answers must come while nothing is wrong.
    type: float
    default: 100
"""

EXAMPLES = r"""
- name: Show the report
  ansible.builtin.debug:
    msg: "{{ (lookup('ansible.builtin.file', 'answers.jsonl') | holdfast.edge.drill_report(drill_done)).screen }}"
"""

RETURN = r"""
_value:
  description: The report as data, and as C(screen), lines to read.
  type: dict
"""


def drill_report(text: str, faults: Sequence[Mapping[str, Any]], short_ms: float = 100.0) -> dict[str, Any]:
    told = report([json.loads(line) for line in text.splitlines()], faults, float(short_ms))
    return {**told, "screen": screen(told)}


class FilterModule:
    """What Ansible loads."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"drill_report": drill_report}
