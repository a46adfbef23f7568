# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""Continuous batching on plain onnxruntime: one thread and one session a model, requests that join and leave
between tokens.

Read in this order: `runner` computes packed steps, `work` is one request's state, `scheduler` is the loop,
`local` the whole.
"""

from __future__ import annotations
