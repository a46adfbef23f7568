# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Takes everything of Holdfast off a node. Start reading in reset.py; owned.py is the list of what may go."""

from __future__ import annotations
