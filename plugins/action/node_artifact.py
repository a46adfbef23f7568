# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Brings a file of the bundle to a node: look, decide, check, copy, and let the node verify and activate it.

Where nothing differs, the first look is all that happens.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleConnectionFailure, AnsibleError
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.errors import BundleError
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.inspection import checked_file
from ansible_collections.holdfast.edge.plugins.module_utils._bundle.progress import spoken_seconds, spoken_size
from ansible_collections.holdfast.edge.plugins.module_utils._node_artifact.choice import (
    Plan,
    Wish,
    check_room,
    choose,
    judge,
)
from ansible_collections.holdfast.edge.plugins.module_utils._node_artifact.errors import ArtifactError
from ansible_collections.holdfast.edge.plugins.module_utils._node_artifact.places import BASE
from ansible_collections.holdfast.edge.plugins.plugin_utils._bundle_trust import keys_of_play, trusted_entries

display = Display()
# Below this a copy is over before anybody asks.
LARGE = 16 << 20
HEARTBEAT_SECONDS = 15.0
ARGUMENTS = {
    "name": {"type": "str", "required": True},
    "bundle_path": {"type": "path", "default": ""},
    "version": {"type": "str", "default": ""},
    "files": {"type": "list", "elements": "str", "default": []},
    "activate": {"type": "bool", "default": True},
    "links": {"type": "dict", "default": {}},
    "dest": {"type": "path", "default": ""},
    "keep": {"type": "int", "default": 3},
}


class ActionModule(ActionBase):  # type: ignore[misc]  # ansible-core ships no types
    """The module of the same name is the node's part."""

    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        given = self.validate_argument_spec(argument_spec=ARGUMENTS)[1]
        wish = Wish(
            name=str(given["name"]),
            version=str(given["version"]),
            files=tuple(str(file) for file in given["files"]),
            activate=bool(given["activate"]),
            links={str(path): str(file) for path, file in given["links"].items()},
            dest=str(given["dest"]),
        )
        host = str(variables.get("inventory_hostname", "this node"))
        bundle = Path(given["bundle_path"])
        try:
            judge(wish)
            seen = self._step("look", wish, given, variables)
            if seen.get("failed") or seen.get("unreachable"):
                return {**result, **seen}
            keys = keys_of_play(variables, self._templar)
            plan = choose(wish, trusted_entries(bundle, keys) if given["bundle_path"] else (), seen["seen"], host)
            result.update(_told(wish, plan, seen["seen"]))
            if not plan.changed:
                return result
            if plan.copy:
                check_room(plan, seen["seen"], host)
                # What goes to nodes is what the bundle's list says, or it does not go.
                for entry in plan.copy.values():
                    checked_file(bundle, entry)
            if self._task.check_mode:
                return result
            if plan.copy:
                ready = self._step("prepare", wish, given, variables, incoming=seen["seen"]["incoming"])
                if ready.get("failed") or ready.get("unreachable"):
                    return {**result, **ready, "changed": False}
                self._copy(bundle, plan, Path(seen["seen"]["incoming"]), host)
            done = self._step("install", wish, given, variables, **_order(plan, seen["seen"]))
        except (ArtifactError, BundleError) as error:
            return {**result, "changed": False, "failed": True, "msg": str(error)}
        if done.get("failed") or done.get("unreachable"):
            return {**result, **done}
        return {**result, "removed": done["removed"]}

    def _step(
        self, step: str, wish: Wish, given: Mapping[str, Any], variables: Mapping[str, Any], **order: Any
    ) -> dict[str, Any]:
        arguments = {
            "name": wish.name,
            "dest": wish.dest,
            "links": dict(wish.links),
            "keep": given["keep"],
            "order": {"step": step, **order},
        }
        answer: dict[str, Any] = self._execute_module(
            module_name="holdfast.edge.node_artifact", module_args=arguments, task_vars=dict(variables)
        )
        return answer

    def _copy(self, bundle: Path, plan: Plan, incoming: Path, host: str) -> None:
        for file, entry in sorted(plan.copy.items()):
            with _aloud(f"{host}: copying {file} of {entry.label} ({spoken_size(entry.size)})", entry.size):
                try:
                    self._transfer_file(str(bundle / entry.path), str(incoming / file))
                except AnsibleConnectionFailure:
                    raise
                except AnsibleError as error:
                    raise ArtifactError(
                        f"{host}: {file} of {entry.label} could not be copied to {incoming}: {error}. What is in use "
                        "was not touched. Put that right, then run this again."
                    ) from error


def _order(plan: Plan, seen: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "version": plan.version,
        "incoming": seen["incoming"],
        "files": {file: {"size": entry.size, "sha256": entry.sha256} for file, entry in plan.copy.items()},
        "mend": list(plan.mend),
        "activate": plan.activate,
        "links": dict(plan.links),
    }


def _told(wish: Wish, plan: Plan, seen: Mapping[str, Any]) -> dict[str, Any]:
    """What the task returns, in check mode too."""
    path = wish.dest or str(BASE / wish.name / plan.version)
    lines = {
        **({f"{wish.name} current": (seen["current"] or "none", plan.version)} if plan.activate else {}),
        **{
            f"{path if wish.dest else path + '/' + file}": ("", f"sha256 {entry.sha256}")
            for file, entry in plan.copy.items()
        },
        **{f"{path}/{file}": ("wrong mode or owner", "0755") for file in plan.mend},
        **{link: (seen["links"][link], str(BASE / wish.name / "current" / file)) for link, file in plan.links.items()},
    }
    return {
        "changed": plan.changed,
        "version": plan.version,
        "path": path,
        "current_before": seen["current"],
        "previous": seen["current"] if plan.activate and seen["current"] else seen["previous"],
        "activated": plan.activate,
        "copied": sorted(plan.copy),
        "removed": [],
        "diff": {
            "before_header": wish.name,
            "after_header": wish.name,
            "before": "".join(f"{name}: {before}\n" for name, (before, after) in lines.items() if before),
            "after": "".join(f"{name}: {after}\n" for name, (before, after) in lines.items()),
        },
    }


@contextlib.contextmanager
def _aloud(line: str, size: int) -> Iterator[None]:
    """Say what takes long, that it still goes on, and how long it took."""
    if size < LARGE:
        yield
        return
    began = time.monotonic()
    done = threading.Event()

    def beat() -> None:
        while not done.wait(HEARTBEAT_SECONDS):
            display.display(f"{line}: {spoken_seconds(time.monotonic() - began)} so far")

    display.display(line)
    pulse = threading.Thread(target=beat, name="heartbeat", daemon=True)
    pulse.start()
    try:
        yield
    finally:
        done.set()
        pulse.join()
