# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine of the bundle. Start reading in make.py: every other file here is one tool that it uses."""

from __future__ import annotations
