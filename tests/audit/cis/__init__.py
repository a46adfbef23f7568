# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The CIS benchmark for k3s (1.9 line), one check for each control, read the way a stranger's auditor reads it.

    python -m tests.audit.cis inventory/local

`controls/` says what is asked and where it is read, `readers/` judge it without touching a host, `probe.py` looks
at one node, `collect.py` sends it there through the inventory.
"""

from __future__ import annotations

from .audit import Audit, judge
from .catalogue import Control, ExceptionRule, load_controls, load_exceptions
from .collect import collect
from .result import Result, Verdict

__all__ = [
    "Audit",
    "Control",
    "ExceptionRule",
    "Result",
    "Verdict",
    "collect",
    "judge",
    "load_controls",
    "load_exceptions",
]
