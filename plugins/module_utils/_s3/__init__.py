# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small client for any store that speaks S3, with the standard library only: it also runs on nodes."""
