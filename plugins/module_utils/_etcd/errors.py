# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can go wrong with etcd, in a sentence for the operator."""

from __future__ import annotations


class EtcdError(Exception):
    """The text says what happened, what is still safe and what to do next."""
