# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A file of the bundle on its way to a node. Start reading in the action plugin node_artifact.

choice.py is the controller's part: what of the bundle is wanted, and what of it the node lacks. look.py and install.py
are the node's part; records.py is what the node remembers of what it has verified.
"""

from __future__ import annotations
