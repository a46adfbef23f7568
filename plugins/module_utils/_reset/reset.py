# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes Holdfast off a node, in an order in which nothing that still runs can bring back what is already gone.

Refusals come first. Then: units, processes, mounts, network, firewall, files, what was there before, and last the
folder that told it. Each part looks again before it acts, so a reset that was cut short goes on wherever it stopped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .errors import ResetError
from .files import Files
from .firewall import Firewall
from .mounts import Mounts
from .network import Network
from .part import Part
from .processes import Processes
from .restore import Restore
from .services import Services
from .system import System


@dataclass(frozen=True)
class Outcome:
    """What was taken away, or would be."""

    gone: tuple[str, ...]


class Reset:
    """One node and what it shall keep."""

    def __init__(
        self,
        system: System,
        addresses: Sequence[str] = (),
        keep: Sequence[str] = (),
    ) -> None:
        self._system = system
        self._mounts = Mounts(system)
        self._files = Files(system, keep)
        self._services = Services(system)
        self._restore = Restore(system)
        self._parts: tuple[Part, ...] = (
            self._services,
            Processes(system),
            self._mounts,
            Network(system, addresses),
            Firewall(system),
            self._files,
            self._restore,
        )

    def look(self) -> Outcome:
        """All that would go; refuses what must not be begun."""
        self._mounts.refuse_strangers()
        self._files.refuse_links()
        return Outcome(tuple(dict.fromkeys(phrase for part in self._parts for phrase in part.look())))

    def run(self) -> Outcome:
        """Take all of it away, and look whether it is gone."""
        outcome = self.look()
        if not outcome.gone:
            return outcome
        for part in self._parts:
            if part is self._files:
                self._mounts.refuse_what_is_left()
            part.clear()
            if part is self._files:
                self._system.run(["systemctl", "daemon-reload"])
        left = [phrase for part in self._parts if part is not self._files for phrase in part.look()]
        if left:
            raise ResetError(
                f"Most of Holdfast is off this node, and this would not go: {', '.join(left[:8])}"
                f"{f' and {len(left) - 8} more' if len(left) > 8 else ''}. Running this again is safe; if the same is "
                "left then, reboot the node and run it once more."
            )
        self._files.clear_last()
        return outcome
