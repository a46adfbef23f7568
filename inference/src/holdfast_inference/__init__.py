# SPDX-FileCopyrightText: 2026 The Holdfast authors
# SPDX-License-Identifier: Apache-2.0
"""The inference service of a Holdfast site, a room each: engine, server, gateway, export."""

from __future__ import annotations

import os

__version__ = "0.1.0"

# From 1.31 on, onnxruntime makes a number for the machine, collects events and sends them to its maker as soon as it is
# imported; its own function to stop that comes too late. Nothing of a site is to leave it, so nobody can turn this on.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
# Texts become ids in the thread that asks for it; tokenizers would begin as many as the machine has cores, whatever was
# granted.
os.environ["TOKENIZERS_PARALLELISM"] = "false"
