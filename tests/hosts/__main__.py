# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Starts the command line."""

from __future__ import annotations

import sys

from .cli import main

sys.exit(main())
