# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""The inference service of a Holdfast site; its rooms (engine, server, gateway, export) come with their own issue."""

from __future__ import annotations

__version__ = "0.1.0"
