# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Shows the progress of the module of the same name, as that of `bundle` is shown."""

from __future__ import annotations

from .bundle import ActionModule

__all__ = ["ActionModule"]
