#!/usr/bin/python
# SPDX-FileCopyrightText: 2026 The Holdfast authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ask an inference service questions at a steady rate, and write down what came of each."""

from __future__ import annotations

DOCUMENTATION = r"""
module: inference_load
short_description: Ask an inference service questions at a steady rate, and write down what came of each
version_added: 0.1.0
description:
  - Asks each question once while nothing is wrong, streamed and plain, in every kind whose answer is certain (short,
    greedy, with a seed, penalised, two at a time, by a schema). Then it asks them again and again, at a rate that does
    not slow down when the service does, and compares every answer with the first one byte for byte.
  - Its clients are careful ones. Each request has an id; a connection that is silent is given up, and the same request
    is sent again, a stream from the event on that was taken last.
  - Ends when the file O(until) is there, or after O(seconds).
author: The Holdfast authors (@holdfast)
options:
  url:
    description: Where the service answers.
    type: str
    required: true
  key:
    description: The key of a client.
    type: str
    required: true
  authority:
    description: File with the certificate of the authority that signed the service's; empty for those that this
      machine trusts.
    type: path
    default: ""
  model:
    description: Which model is asked.
    type: str
    required: true
  questions:
    description: What it is asked.
    type: list
    elements: str
    required: true
  tokens:
    description: How long answers are; the model must be able to draw so many.
    type: int
    default: 64
  rate:
    description: Requests a second.
    type: float
    default: 4
  clients:
    description: How many clients there are; with all of them busy, requests wait, and their time counts.
    type: int
    default: 32
  silence_seconds:
    description: After so long a silence a client asks again.
    type: float
    default: 2
  patience_seconds:
    description: After so long a request has failed.
    type: float
    default: 30
  answers:
    description: The file that has a line for each answer afterwards.
    type: path
    required: true
  until:
    description: The file that ends it when it is there.
    type: path
    required: true
  ready:
    description: The file that is there once all questions were answered for the first time and the load begins.
    type: path
    required: true
  seconds:
    description: When it ends at the latest.
    type: float
    default: 3600
attributes:
  check_mode:
    description: Asks nothing.
    support: full
  diff_mode:
    description: Changes nothing that could be shown.
    support: N/A
  idempotent:
    description: Asks each time.
    support: none
"""

EXAMPLES = r"""
- name: Ask for as long as the drill lasts
  holdfast.edge.inference_load:
    url: https://192.0.2.10:8443
    key: "{{ lookup('ansible.builtin.file', 'key') }}"
    authority: inference-ca.crt
    model: shop
    questions:
      - Where is the lamp?
    answers: /tmp/drill/answers.jsonl
    until: /tmp/drill/end
    ready: /tmp/drill/begun
  async: 3600
  poll: 0
"""

RETURN = r"""
asked:
  description: How many requests there were.
  returned: success
  type: int
  sample: 512
"""

import time
from pathlib import Path

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.holdfast.edge.plugins.module_utils._drill.client import Client
from ansible_collections.holdfast.edge.plugins.module_utils._drill.load import (
    Load,
    LoadError,
    Record,
    ask_until,
    right_answers,
)
from ansible_collections.holdfast.edge.plugins.module_utils._drill.questions import questions


def main() -> None:
    module = AnsibleModule(
        argument_spec={
            "url": {"type": "str", "required": True},
            "key": {"type": "str", "required": True, "no_log": True},
            "authority": {"type": "path", "default": ""},
            "model": {"type": "str", "required": True},
            "questions": {"type": "list", "elements": "str", "required": True},
            "tokens": {"type": "int", "default": 64, "no_log": False},
            "rate": {"type": "float", "default": 4},
            "clients": {"type": "int", "default": 32},
            "silence_seconds": {"type": "float", "default": 2},
            "patience_seconds": {"type": "float", "default": 30},
            "answers": {"type": "path", "required": True},
            "until": {"type": "path", "required": True},
            "ready": {"type": "path", "required": True},
            "seconds": {"type": "float", "default": 3600},
        },
        supports_check_mode=True,
    )
    given = module.params
    if module.check_mode:
        module.exit_json(changed=False, asked=0)
    for name in ("rate", "clients", "silence_seconds", "patience_seconds", "tokens"):
        if given[name] <= 0:
            module.fail_json(msg=f"{name} must be more than 0, and is {given[name]}. Nothing was asked.")
    if not given["questions"]:
        module.fail_json(msg="There is no question to ask. Nothing was asked.")
    try:
        client = Client(
            given["url"], given["key"], given["authority"], given["silence_seconds"], given["patience_seconds"]
        )
        asked = questions(given["model"], given["questions"], given["tokens"])
        record = Record(Path(given["answers"]), right_answers(client, asked))
        Path(given["ready"]).touch()
        last, until = time.time() + given["seconds"], Path(given["until"])
        count = ask_until(
            client,
            asked,
            Load(given["rate"], given["clients"]),
            lambda: until.exists() or time.time() > last,
            record.take,
        )
        record.close()
    except (LoadError, OSError) as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, asked=count)


if __name__ == "__main__":
    main()
