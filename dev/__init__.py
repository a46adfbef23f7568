# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the Makefile's targets run; nothing here is part of the collection that operators install."""
