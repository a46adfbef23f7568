# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The test bed: N hosts on a network of their own, in containers or virtual machines, that can be broken and healed.

    python -m tests.hosts up --name demo --count 3

and the same from Python::

    with session_set("journal", count=3) as host_set:
        inflict(host_set.name, host_set.hosts[0].name, "cut")
"""

from __future__ import annotations

from .model import FAULTS, Host, HostsError, HostSet, Sizing
from .sets import Outcome, Wish, down, heal, inflict, load, prepare, session_set, up
from .ssh import run, ssh_command

__all__ = [
    "FAULTS",
    "Host",
    "HostSet",
    "HostsError",
    "Outcome",
    "Sizing",
    "Wish",
    "down",
    "heal",
    "inflict",
    "load",
    "prepare",
    "run",
    "session_set",
    "ssh_command",
    "up",
]
