# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""The HTTP side of the inference service: what is asked in several dialects becomes requests to an engine, and back."""
