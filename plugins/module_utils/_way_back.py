# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The version that a site's nodes go back to, from what each runs and what each had before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ._versions import version_key

RESTORE = (
    "ansible-playbook -i <inventory> playbooks/restore.yml -e restore_file=<the backup from before> "
    "-e restore_replace=true -e {component}_version={version}"
)


@dataclass(frozen=True)
class WayBack:
    """Where to; `faults` are sentences, and with any of them nothing must be changed."""

    version: str
    faults: tuple[str, ...] = ()


def way_back(nodes: Mapping[str, Mapping[str, str]], component: str, wanted: str = "") -> WayBack:
    """`nodes` has `running` and `previous` of each node; without `wanted` the version before is found."""
    running = {name: node["running"] for name, node in nodes.items() if node["running"]}
    if not running:
        return WayBack(
            "", (f"{component} runs on none of the nodes, so there is nothing to go back from; run site.yml",)
        )
    newest = max(running.values(), key=version_key)
    target = wanted or _target(nodes, running)
    if not target:
        return WayBack(
            "",
            (
                f"no node has a version of {component} from before {newest}; give one that the bundle has: "
                "-e version=<version>",
            ),
        )
    if version_key(target) > version_key(newest):
        return WayBack(
            "", (f"{component} {target} is newer than {newest}, which runs; playbooks/upgrade.yml goes forward",)
        )
    if _line(target) != _line(newest):
        return WayBack("", (_across(component, newest, target),))
    return WayBack(target)


def _target(nodes: Mapping[str, Mapping[str, str]], running: Mapping[str, str]) -> str:
    """Where nodes differ, a run was cut short on its way up or back: the oldest is where it came from or went."""
    oldest = min(running.values(), key=version_key)
    if len(set(running.values())) > 1:
        return oldest
    previous = {node["previous"] for node in nodes.values() if node["previous"] and node["running"]}
    if not previous:
        return ""
    before = max(previous, key=version_key)
    # The version before is a newer one only where the way back was already taken; then there is nothing to do.
    return oldest if version_key(before) > version_key(oldest) else before


def _line(version: str) -> tuple[str, ...]:
    return tuple(version.removeprefix("v").split(".")[:2])


def _across(component: str, newest: str, target: str) -> str:
    command = RESTORE.format(component=component, version=target)
    return (
        f"{component} {newest} has written data that {target} need not understand, since a minor version lies between "
        f"them. Only a backup from before the upgrade leads back, and what was written since is lost: {command}"
    )
