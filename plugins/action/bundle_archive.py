# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows the progress of the module of the same name, and lets it unpack only what was signed as the play asks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ansible_collections.holdfast.edge.plugins.module_utils._bundle.archive import read_head
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.errors import BundleError
from ansible_collections.holdfast.edge.plugins.plugin_utils._bundle_trust import VARIABLE, judge, keys_of_play

from .bundle import ActionModule as BundleAction


class ActionModule(BundleAction):
    """The archive's head is judged here, where the keys are; the module is told its digest, and takes no other."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        arguments = self._task.args
        try:
            keys = keys_of_play(task_vars or {}, self._templar) if arguments.get("state") == "unpacked" else []
            if keys:
                if self._connection.transport != "local":
                    raise BundleError(
                        f"{VARIABLE} asks for a signature, which only the controller judges, and this would be "
                        "unpacked on another machine. Nothing was unpacked. Unpack it on the controller."
                    )
                archive = Path(str(arguments.get("archive", ""))).expanduser()
                head = read_head(archive)
                judge(head.manifest, head.signatures, keys, archive)
                self._task.args = {"manifest_sha256": head.sha256, **{k: v for k, v in arguments.items() if v}}
        except BundleError as error:
            return {"failed": True, "changed": False, "msg": str(error)}
        except OSError as error:
            return {"failed": True, "changed": False, "msg": f"{error}. Nothing was unpacked."}
        return super().run(tmp, task_vars)
