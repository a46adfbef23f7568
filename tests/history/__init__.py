# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A load of writes and reads on the Kubernetes API, the history of each operation, and a judge of that history.

What is judged is linearizability as far as it can be told from outside: each register has one writer that writes rising
numbers, each only where the last known one still stands, so the state of a register can only rise. Entries are made
once.
"""

from __future__ import annotations
