# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads or makes a secret of the site on the controller; no node is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible.plugins.action import ActionBase
from ansible_collections.holdfast.edge.plugins.module_utils._site_secret import KINDS, SecretError, Wish, obtain
from ansible_collections.holdfast.edge.plugins.plugin_utils._vault import seals

ARGUMENTS = {
    "path": {"type": "path", "required": True},
    "name": {"type": "str", "required": True},
    "kind": {"type": "str", "choices": list(KINDS), "default": "token"},
    "length": {"type": "int", "default": 32},
    "value": {"type": "str", "default": "", "no_log": True},
}


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible-core ships no types
    """The vault secret of the play seals what is kept, and opens what was sealed."""

    _supports_check_mode = True
    _supports_async = False
    _requires_connection = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments = self.validate_argument_spec(argument_spec=ARGUMENTS)[1]
        wish = Wish(
            folder=Path(arguments["path"]),
            name=str(arguments["name"]),
            kind=str(arguments["kind"]),
            length=int(arguments["length"]),
            value=str(arguments["value"]),
        )
        seal, unseal = seals(self._loader, wish.folder / wish.name)
        try:
            secret = obtain(wish, seal, unseal, check_mode=self._task.check_mode)
        except SecretError as error:
            return {**result, "failed": True, "msg": str(error)}
        except OSError as error:
            return {
                **result,
                "failed": True,
                "msg": f"The controller refused: {error}. Put that right, then run this again.",
            }
        # Nobody may see it, not with -vvv either.
        self._task.no_log = True
        return {
            **result,
            "changed": secret.changed,
            "value": secret.value,
            "exists": secret.exists,
            "path": str(secret.path),
        }
