# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A drill: clients that go on asking while nodes fail, and what came of their requests."""
