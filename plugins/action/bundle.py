# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs the module of the same name and shows its progress while it works; a fetch or a build may take minutes."""

from __future__ import annotations

import fcntl
import os
import tempfile
import threading
from pathlib import Path
from typing import IO, Any

from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

display = Display()
INTERVAL_SECONDS = 0.5


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible-core ships no types
    """Live lines need a file that both sides see, so they are shown where the module runs on the controller itself."""

    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run the module with a progress file, and read that aloud until the module ends."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments = dict(self._task.args)
        if self._connection.transport != "local" or arguments.get("progress_path"):
            result.update(self._execute_module(task_vars=task_vars))
            return result
        with tempfile.NamedTemporaryFile(prefix="holdfast-progress-", suffix=".log") as file:
            # Held as long as this process lives: the module ends itself when nobody listens any more.
            fcntl.flock(file, fcntl.LOCK_EX)
            done = threading.Event()
            teller = threading.Thread(target=_tell, args=(Path(file.name), file, done), daemon=True)
            teller.start()
            try:
                arguments["progress_path"] = file.name
                result.update(self._execute_module(module_args=arguments, task_vars=task_vars))
            finally:
                done.set()
                teller.join()
        result.get("invocation", {}).get("module_args", {}).pop("progress_path", None)
        return result


def _tell(path: Path, lock: IO[bytes], done: threading.Event) -> None:
    """Show each new line. When the playbook is gone (its worker lives on as an orphan), let the lock go."""
    playbook = os.getppid()
    with path.open(encoding="utf-8", errors="replace") as stream:
        while True:
            last = done.wait(INTERVAL_SECONDS)
            for line in stream:
                display.display(line.rstrip("\n"))
            if last:
                return
            if os.getppid() != playbook:
                fcntl.flock(lock, fcntl.LOCK_UN)
                return
