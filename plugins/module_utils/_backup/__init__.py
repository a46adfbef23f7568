# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Backups of a site and the way back. Start reading in make.py; shape.py tells what a file of ours looks like.

It runs in modules and, without a controller, from a timer of the node (__main__.py), so it imports its neighbours by
relative names only.
"""
