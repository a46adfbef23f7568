# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The datastore: its members as they are, what is to be done about them, and their certificates."""

from __future__ import annotations
