# SPDX-FileCopyrightText: 2026 The Holdfast authors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a model folder on the controller holds."""

from __future__ import annotations

DOCUMENTATION = r"""
name: model_folder
short_description: What a model folder on the controller holds
version_added: 0.1.0
author: The Holdfast authors (@holdfast)
description:
  - Compares every byte of a model folder with its card, and tells its digest, its files, and the memory that an engine
    plans for it. One that is damaged, unfinished or not made for so many slots is refused.
options:
  _input:
    description: The folder on the controller.
    type: str
    required: true
  slots:
    description: How many answers are drawn at the same time.
    type: int
    required: true
  context:
    description: Tokens of context; 0 for as many as the model was exported for.
    type: int
    default: 0
positional: slots, context
"""

EXAMPLES = r"""
- name: Say what the model takes
  ansible.builtin.debug:
    msg: "{{ ('/models/shop' | holdfast.edge.model_folder(4)).memory_bytes }}"
"""

RETURN = r"""
_value:
  description: C(digest), C(files) with name, SHA-256 and bytes, the card last, and C(memory_bytes).
  type: dict
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleFilterError
from ansible_collections.holdfast.edge.plugins.module_utils._model_folder import ModelFolderError, read_model


def model_folder(folder: str, slots: int, context: int = 0) -> dict[str, Any]:
    try:
        return read_model(Path(folder).expanduser(), int(slots), int(context))
    except ModelFolderError as error:
        raise AnsibleFilterError(f"{error} Nothing was changed on any node.") from error


class FilterModule:
    """The filters of this file."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"model_folder": model_folder}
